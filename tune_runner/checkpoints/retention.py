"""Keeps the checkpoints of a study to those that can still be of use.

An open or failed trial may go on from its checkpoint and the best one is worth having; the others
would fill the disk (four times the model for every trial).
"""

from collections.abc import Iterable

from tune_runner.checkpoints.store import remove_trials
from tune_runner.events import StudyCallback, TrialRecord, TrialResult


class CheckpointRetention(StudyCallback):
    """An observer of the study that removes what has had its day."""

    def __init__(self, checkpoints: str, *, maximize: bool, best: tuple[int, float] | None) -> None:
        self._checkpoints, self._maximize, self._best = checkpoints, maximize, best

    def remove_stale(self, settled: Iterable[int]) -> None:
        """Remove what a driver that was killed at a trial's end did not get to.

        Args:
            settled: the trials that are complete or pruned.
        """
        best = set() if self._best is None else {self._best[0]}
        remove_trials(self._checkpoints, set(settled) - best)

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Remove a pruned trial's checkpoint, and those of all complete trials but the best.

        By that a worker that trains others, too, sees that a trial was given up.
        """
        if end.state == "pruned":
            self._remove(trial.number)
        elif end.state == "complete" and end.value is not None:
            if self._best is None or self._is_better(end.value, self._best[1]):
                if self._best is not None:
                    self._remove(self._best[0])
                self._best = (trial.number, end.value)
            else:
                self._remove(trial.number)

    def _is_better(self, value: float, than: float) -> bool:
        return value > than if self._maximize else value < than

    def _remove(self, number: int) -> None:
        remove_trials(self._checkpoints, {number})
