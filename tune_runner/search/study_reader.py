"""Counts, failures and the answer so far of an Optuna study, which is not changed."""

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces import leading
from search_spaces.objectives import Goals
from tune_runner.events import FinalState, Leader
from tune_runner.schema import ERROR, NAME
from tune_runner.search import front
from tune_runner.search.replicates import KEPT, RacingPoint, racing_points
from tune_runner.search.unpruned import pruning_sentence


class StudyReader:
    """Reads an Optuna study."""

    def __init__(
        self, study: optuna.Study, goals: Goals, *, is_sampled: bool = False, num_seeds: int = 1
    ) -> None:
        """Read nothing yet.

        Args:
            study: that is read.
            goals: which say what is best.
            is_sampled: whether a sampler draws its points (`search_spaces.leading`).
            num_seeds: seeds that a point may have.
        """
        self._study, self.goals = study, goals
        self._is_sampled, self._num_seeds = is_sampled, num_seeds

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

    def leader(self) -> Leader | None:
        """Return the point with the best mean over its seeds; None before the first result.

        Of a study with several objectives it is the point of the front that is best in the first.
        """
        if not self.goals.is_plain:
            found = front.answer(self._trials(), self.goals)
            if not found:
                return None
            number, value = found[0].number, found[0].scores.values[0]
            return Leader(number, self.name(number), value, len(found[0].trials))
        points = self._ranked(1)
        if not points:
            return None
        number = points[0].newest.number
        return Leader(number, self.name(number), points[0].mean, len(points[0].values))

    def kept(self) -> set[int]:
        """Return the complete trials whose checkpoints stay.

        While seeds are still spent they are the newest ones of the best points, since one of those
        may lead in the end.
        """
        if not self.goals.is_plain:
            return front.kept_numbers(self._trials(), self.goals)
        is_open = self._num_seeds > 1 and not self.finished()
        return {point.newest.number for point in self._ranked(KEPT if is_open else 1)}

    def finished(self) -> bool:
        """Return whether nothing is left to run."""
        return not self._trials(TrialState.RUNNING, TrialState.WAITING)

    def _ranked(self, count: int) -> list[RacingPoint]:
        """Return the leader, and the points of the best means, `count` in all."""
        points = [point for point in racing_points(self._trials()) if point.values]
        values = {number: point.values for number, point in enumerate(points)}
        key = self.goals.objectives[0].sort_key
        first = leading.leader(values, key, is_sampled=self._is_sampled)
        if first is None:
            return []
        others = [number for number in leading.by_mean(values, key) if number != first]
        return [points[number] for number in (first, *others)][:count]

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

    def pruning_sentence(self) -> str:
        """Return what pruning would have cost (`search.unpruned`); "" where nothing is known."""
        objective, *others = self.goals.objectives
        return "" if others else pruning_sentence(self._trials(), objective)  # several: unpruned

    def failures(self) -> dict[int, str]:
        """Return the reason of each failed trial."""
        return {t.number: str(t.user_attrs.get(ERROR, "")) for t in self._trials(TrialState.FAIL)}

    def _trials(self, *states: TrialState) -> Sequence[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)
