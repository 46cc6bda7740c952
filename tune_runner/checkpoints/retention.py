"""Retention of a study's checkpoints: only those that can still be used are kept.

An open or failed trial may be resumed from its checkpoint, and the best one can be used for
recommendations. The others would fill the disk: each is four times the size of its model.
"""

from collections.abc import Iterable

from search_spaces import Objective
from tune_runner.checkpoints.store import remove_trials
from tune_runner.events import StudyCallback, TrialRecord, TrialResult


class CheckpointRetention(StudyCallback):
    """Callback that deletes checkpoints that are no longer needed."""

    def __init__(
        self, checkpoints: str, objective: Objective, best: tuple[int, float] | None
    ) -> None:
        """Start from what an earlier driver has reached.

        Args:
            checkpoints: location of the study's checkpoints.
            objective: decides which trial is the best.
            best: (number, value) of the best complete trial so far.
        """
        self._checkpoints, self._objective, self._best = checkpoints, objective, best

    def remove_stale(self, closed: Iterable[int]) -> None:
        """Delete what a driver that was killed at a trial's end did not delete.

        Args:
            closed: the trials that are complete or pruned.
        """
        best = set() if self._best is None else {self._best[0]}
        remove_trials(self._checkpoints, set(closed) - best)

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Delete a pruned trial's checkpoint, and those of all complete trials but the best.

        A worker that trains a group learns from the missing checkpoint that this trial was pruned.
        """
        if end.state == "pruned":
            self._remove(trial.number)
        elif end.state == "complete" and end.value is not None:
            if self._best is None or self._objective.is_better(end.value, self._best[1]):
                if self._best is not None:
                    self._remove(self._best[0])
                self._best = (trial.number, end.value)
            else:
                self._remove(trial.number)

    def _remove(self, number: int) -> None:
        remove_trials(self._checkpoints, {number})
