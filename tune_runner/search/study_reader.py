"""Counts, failures and the answer so far of an Optuna study, which is not changed."""

from collections.abc import Sequence

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_spaces.objectives import Goals
from tune_runner.events import FinalState
from tune_runner.schema import ERROR, NAME
from tune_runner.search import front


class StudyReader:
    """Reads an Optuna study."""

    def __init__(self, study: optuna.Study, goals: Goals) -> None:
        self._study, self.goals = study, goals

    def counts(self) -> dict[FinalState, int]:
        """Return how many trials ended in each way."""
        return {
            "complete": len(self._trials(TrialState.COMPLETE)),
            "pruned": len(self._trials(TrialState.PRUNED)),
            "failed": len(self._trials(TrialState.FAIL)),
        }

    def closed_trials(self) -> list[int]:
        """Return the numbers of complete and pruned trials; they never need a checkpoint again."""
        return [t.number for t in self._trials(TrialState.COMPLETE, TrialState.PRUNED)]

    def best(self) -> tuple[int, float] | None:
        """Return number and score of the best complete trial.

        Of a study with several objectives it is the point of the front that is best in the first.
        """
        complete = self._trials(TrialState.COMPLETE)
        if not complete:
            return None
        if not self.goals.is_plain:
            points = front.answer(self._trials(), self.goals)
            return (points[0].number, points[0].scores.values[0]) if points else None
        maximize = self._study.direction is StudyDirection.MAXIMIZE
        best = (max if maximize else min)(complete, key=lambda trial: trial.value or 0.0)
        return best.number, float(best.value or 0.0)

    def kept(self) -> set[int]:
        """Return the complete trials whose checkpoints stay."""
        if not self.goals.is_plain:
            return front.kept_numbers(self._trials(), self.goals)
        best = self.best()
        return set() if best is None else {best[0]}

    def answer_text(self) -> str:
        """Return the study's answer so far in a phrase; empty without a complete trial."""
        return front.answer_text(self._trials(), self.goals)

    def durations(self) -> list[float]:
        """Return the seconds that each trial took that has ended."""
        ended = self._trials(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [t.duration.total_seconds() for t in ended if t.duration]

    def name(self, number: int) -> str:
        """Return the name of a trial for people."""
        trial = self._trials()[number]
        return str(trial.user_attrs.get(NAME, f"{number:04d}"))

    def pruned_epochs(self) -> list[int]:
        """Return the epoch at which each pruned trial was pruned."""
        return [t.last_step or 0 for t in self._trials(TrialState.PRUNED)]

    def failures(self) -> dict[int, str]:
        """Return the reason of each failed trial."""
        return {t.number: str(t.user_attrs.get(ERROR, "")) for t in self._trials(TrialState.FAIL)}

    def _trials(self, *states: TrialState) -> Sequence[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)
