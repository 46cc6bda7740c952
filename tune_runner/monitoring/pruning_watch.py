"""Says while a study runs that pruning is not safe, as soon as its unpruned trials show it."""

from collections.abc import Callable

from tune_runner.events import StudyCallback, TrialRecord, TrialResult


class PruningWatch(StudyCallback):
    """Callback that writes the sentence about pruning once it says "not safe"."""

    def __init__(self, sentence: Callable[[], str], note: Callable[[str], None]) -> None:
        """Say nothing yet.

        Args:
            sentence: returns what pruning would have cost so far.
            note: writes a line above the view.
        """
        self._sentence, self._note = sentence, note
        self._is_said = False

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Look after each complete trial."""
        if end.state != "complete" or self._is_said:
            return
        sentence = self._sentence()
        if "not safe" in sentence:
            self._is_said = True
            self._note(f"pruning   {sentence}")
