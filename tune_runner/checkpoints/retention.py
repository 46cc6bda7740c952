"""Retention of a study's checkpoints: only those that can still be used are kept.

An open or failed trial may be resumed from its checkpoint, and the best one can be used for
recommendations. The others would fill the disk: each is four times the size of its model.
"""

from collections.abc import Callable, Iterable

from tune_runner.checkpoints.store import remove_trials
from tune_runner.events import StudyCallback, TrialRecord, TrialResult


class CheckpointRetention(StudyCallback):
    """Callback that deletes checkpoints that are no longer needed."""

    def __init__(self, checkpoints: str, kept: Callable[[], set[int]]) -> None:
        """Start from what an earlier driver has reached.

        Args:
            checkpoints: location of the study's checkpoints.
            kept: returns the complete trials whose checkpoints stay, as the study stands.
        """
        self._checkpoints, self._find_kept = checkpoints, kept
        self._kept = kept()

    def remove_stale(self, closed: Iterable[int]) -> None:
        """Delete what a driver that was killed at a trial's end did not delete.

        Args:
            closed: the trials that are complete or pruned.
        """
        remove_trials(self._checkpoints, set(closed) - self._kept)

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Delete a pruned trial's checkpoint, and those of complete trials that are overtaken.

        A worker that trains a group learns from the missing checkpoint that this trial was pruned.
        A failed one keeps its own, but may be the last of the study: then fewer others stay.
        """
        kept = self._find_kept()
        ended = set() if end.state == "failed" else {trial.number}
        remove_trials(self._checkpoints, (self._kept | ended) - kept)
        self._kept = kept
