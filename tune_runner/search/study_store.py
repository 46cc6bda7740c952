"""The Optuna study; ours, since Ray's OptunaSearch has no pruner and no grid.

It is the single record of what was proposed, pruned, failed and completed. Only the driver writes
here. A trial's seed is an attribute, not a parameter: a sampler must not learn seeds. A trial that
a dead driver left running is resumed under its own number.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces.domains import frozen
from search_spaces.space import SearchSpace
from search_spaces.variants import VARIANT, is_searched, variants_of
from tune_runner.events import TrialRecord
from tune_runner.schema import (
    CONFIRM,
    ERROR,
    LAST_REPORT,
    NAME,
    POINT,
    RETRY_OF,
    ROLE,
    SEED,
    WOULD_PRUNE,
    trial_name,
)
from tune_runner.search import front, notes
from tune_runner.search.confirmation import by_point, winner_and_rival
from tune_runner.search.coordinates import coordinate, coordinates, params_of, suggest
from tune_runner.search.observations import trials_by_point
from tune_runner.search.replicates import next_missing, next_replicate
from tune_runner.search.study_reader import StudyReader
from tune_runner.search.unpruned import is_never_pruned
from tune_runner.study.config import StudyPlan

if TYPE_CHECKING:
    pass


_AHEAD = 20
"""Points of a grid that wait in a study: at each draw Optuna reads all that have not ended."""


class StudyStore(StudyReader):
    """An Optuna study with the ask-and-tell interface, and its running trials.

    What waits and what counts to the budget is kept here too, since only this driver adds trials.
    """

    def __init__(self, study: optuna.Study, space: SearchSpace, plan: StudyPlan) -> None:
        super().__init__(study, space.goals, is_sampled=plan.is_sampled, num_seeds=len(plan.seeds))
        self._space, self._plan = space, plan
        self._running: dict[int, optuna.Trial] = {}
        self._epochs: dict[int, set[int]] = {}
        trials = self._trials()
        self._interrupted = [t for t in trials if t.state is TrialState.RUNNING]
        self._num_waiting = sum(t.state is TrialState.WAITING for t in trials)
        self._num_counted = sum(not {RETRY_OF, ROLE} & t.user_attrs.keys() for t in trials)
        self._planned: deque[tuple[int, Mapping[str, Any], int]] = deque()
        """Points of the grid, with seeds, that the study does not hold yet."""
        self._has_looked = False

    @property
    def is_sampled(self) -> bool:
        """True if a sampler draws the points, and learns from results."""
        return self._plan.is_sampled

    def enqueue_grid(self) -> None:
        """Plan the points of the grid that the study does not hold yet, up to the budget."""
        queued = {(t.user_attrs.get(POINT), t.user_attrs.get(SEED)) for t in self._trials()}
        points = list(enumerate(self._space.grid_samples()))
        planned = [(i, sample, seed) for seed in self._plan.seeds for i, sample in points]
        new = (
            (i, point, s) for i, point, s in planned[: self._plan.trials] if (i, s) not in queued
        )
        self._planned = deque(new)
        self._refill()

    def enqueue_start(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Queue the points, by coordinate, that a sampled study starts from, once."""
        if not self._trials():
            for point in points[: self._plan.trials]:
                self._enqueue(dict(point), {})

    def enqueue_confirmation(self, seeds: int) -> int:
        """Queue the winner and its rival again on `seeds` fresh seeds; return how many trials.

        The winner has the best mean over its complete trials. Its rival is the space's control, or
        the published configuration that the search started from, or else the second best. What was
        queued before is not queued twice.
        """
        searched = [t for t in self._trials() if ROLE not in t.user_attrs]
        points = by_point(searched)
        chosen = winner_and_rival(
            points,
            objective=self._space.objective,
            is_control=self._is_control,
            outside=front.outside(points, self.goals),
            is_sampled=self._plan.is_sampled,
        )
        last = max((t.user_attrs[SEED] for t in searched if SEED in t.user_attrs), default=0)
        queued = {(t.user_attrs.get(POINT), t.user_attrs.get(SEED)) for t in self._trials()}
        planned = [(p, last + 1 + i) for i in range(seeds) for p in chosen]
        new = [pair for pair in planned if pair not in queued]
        for point, seed in new:
            attrs = {SEED: seed, POINT: point, ROLE: CONFIRM}
            self._enqueue(dict(points[point][0].params), attrs)
        return len(new)

    def enqueue_failed(self) -> int:
        """Queue every failed trial again that was not yet; return how many."""
        trials = self._trials()
        retried = {t.user_attrs.get(RETRY_OF) for t in trials}
        failed = [t for t in trials if t.state is TrialState.FAIL and t.number not in retried]
        for trial in failed:
            attrs = {k: v for k, v in trial.user_attrs.items() if k in (SEED, POINT, ROLE)}
            attrs[RETRY_OF] = trial.number
            self._enqueue(dict(trial.params), attrs)
        return len(failed)

    def ask(self) -> TrialRecord | None:
        """Return the next trial to run, not yet resolved; None when the budget is spent."""
        if self._interrupted:
            frozen = self._interrupted.pop(0)
            # No public call continues a running trial; it suggests the same values again.
            trial = optuna.Trial(self._study, frozen._trial_id)
            known = frozen.user_attrs.get(LAST_REPORT, ())[:1]
            return self._adopt(trial, {*frozen.intermediate_values, *known})
        if self._num_waiting <= _AHEAD // 2:
            self._refill()
        if not self._num_waiting and not self._can_sample() and not self._has_looked:
            self._has_looked = True  # once, at the end: for what somebody else has queued
            self._num_waiting = len(self._trials(TrialState.WAITING))
        if not self._num_waiting and not self._queue_replicate():
            if not self._can_sample():
                return None
            if self._space.equal_share:
                self._enqueue({VARIANT: self._least_tried()}, {})
        if self._num_waiting:
            self._num_waiting -= 1
        else:
            self._num_counted += 1
        return self._adopt(self._study.ask(), set())

    def num_remaining(self) -> int:
        """Return how many trials `ask` will still return."""
        queued = len(self._interrupted) + self._num_waiting + len(self._planned)
        return queued + (max(0, self._remaining_budget()) if self._plan.is_sampled else 0)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Record an intermediate value once; return whether to prune the trial.

        An epoch that is already known (a retry repeats it) is not recorded again; only the newest
        one is judged.
        """
        trial, epochs = self._running[number], self._epochs[number]
        several = len(self.goals.objectives) > 1
        if epoch not in epochs:
            if several:  # Optuna takes no intermediate values then, and prunes nothing
                trial.set_user_attr(LAST_REPORT, [epoch, value])
            else:
                trial.report(value, epoch)
            epochs.add(epoch)
        # a confirmation runs to its end; so does a further seed: a mean of survivors is too good
        attrs = trial.user_attrs
        is_further = self._plan.is_sampled and attrs[SEED] != self._plan.seeds[0]
        if several or epoch < max(epochs) or ROLE in attrs or is_further:
            return False
        should_prune = trial.should_prune()
        if should_prune and is_never_pruned(number):
            if WOULD_PRUNE not in attrs:
                trial.set_user_attr(WOULD_PRUNE, epoch)
            return False
        return should_prune

    def complete(
        self, number: int, value: float, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Close a trial with its score.

        Args:
            number: of the trial.
            value: of the objective, or of the first one.
            metrics: `best/...`, of which the other objectives and the constraint are taken.
        """
        front.tell(self._study, self._running.pop(number), self._space, value, metrics)

    def prune(self, number: int) -> None:
        """Close a trial as pruned; its intermediate values stay, it has no score."""
        self._study.tell(self._running.pop(number), state=TrialState.PRUNED)

    def fail(self, number: int, error: str) -> None:
        """Close a trial as failed, with the reason; it has no score."""
        trial = self._running.pop(number)
        trial.set_user_attr(ERROR, error)
        notes.note_failure(self._study, trial, error)
        self._study.tell(trial, state=TrialState.FAIL)

    def note_answer(self, answer: str) -> None:
        """Show the answer beside the question in optuna-dashboard."""
        notes.note_study(self._study, self._space.question, answer)

    def num_planned(self) -> int:
        """Return how many trials the study will hold when it is complete."""
        extra = sum(RETRY_OF in t.user_attrs or ROLE in t.user_attrs for t in self._trials())
        return self._plan.trials + extra

    def finished(self) -> bool:
        """Return whether nothing is left to run."""
        open_states = (TrialState.RUNNING, TrialState.WAITING)
        is_given_out = not self._planned and not self._can_sample()
        return is_given_out and not self._trials(*open_states)

    def _remaining_budget(self) -> int:
        """Return how many trials may still be added; retries and confirmations do not count."""
        return self._plan.trials - self._num_counted

    def _enqueue(self, params: dict[str, Any], attrs: Mapping[str, Any]) -> None:
        self._study.enqueue_trial(params, user_attrs=dict(attrs))
        self._num_waiting += 1
        self._num_counted += not {RETRY_OF, ROLE} & attrs.keys()

    def _refill(self) -> None:
        """Queue more points of the grid."""
        while self._planned and self._num_waiting < _AHEAD:
            index, sample, seed = self._planned.popleft()
            self._enqueue(coordinates(self._space, sample), {SEED: seed, POINT: index})

    def _least_tried(self) -> str:
        """Return the variant with the fewest points so far, of those with something to search.

        In a finite space also of those with a point that was not tried yet.
        """
        points = {(t.user_attrs.get(POINT), t.params.get(VARIANT)) for t in self._trials()}
        tried = Counter(variant for _, variant in points)
        searched = [v for v in variants_of(self._space) if is_searched(self._space, v)]
        if self._space.num_points() is not None:
            sizes = Counter(sample[VARIANT] for sample in self._space.grid_samples())
            searched = [v for v in searched if tried[v] < sizes[v]] or searched
        return min(searched, key=lambda variant: tried[variant])

    def _can_sample(self) -> bool:
        return self._plan.is_sampled and self._remaining_budget() > 0

    def _queue_replicate(self) -> bool:
        """Queue a point with its next seed if that is to be run next; return whether it was.

        With several objectives or a constraint every point gets all its seeds at once.
        """
        if len(self._plan.seeds) == 1 or not self._can_sample():
            return False
        trials, num_points = self._trials(), self._space.num_points()
        if not self.goals.is_plain:
            found = next_missing(trials, self._plan.seeds)
        else:
            found = next_replicate(
                trials,
                self._plan.seeds,
                self._space.objective.sort_key,
                remaining=self._remaining_budget(),
                equal_share=self._space.equal_share,
                has_new_points=num_points is None or len(trials_by_point(trials)) < num_points,
            )
        if found is None:
            return False
        point, seed = found
        self._enqueue(dict(point.trials[0].params), {SEED: seed, POINT: point.key})
        return True

    def _adopt(self, trial: optuna.Trial, epochs: set[int]) -> TrialRecord:
        params = self._space.build_point(
            lambda path, domain: suggest(trial, coordinate(self._space, path), domain)
        )
        if SEED not in trial.user_attrs:
            # The seed comes last: a driver that dies in between does this again.
            trial.set_user_attr(POINT, trial.number)
            trial.set_user_attr(SEED, self._plan.seeds[0])
        self._running[trial.number], self._epochs[trial.number] = trial, epochs
        attrs = trial.user_attrs
        ordered = {path: params[path] for path in self._space.domains if path in params}
        name = trial_name(trial.number, ordered, attrs[SEED])
        if NAME not in attrs:
            trial.set_user_attr(NAME, name)
        return TrialRecord(
            number=trial.number,
            name=name,
            params=ordered,
            seed=attrs[SEED],
            last_epoch=max(epochs, default=0),
            retry_of=attrs.get(RETRY_OF),
            role=attrs.get(ROLE),
        )

    def _is_control(self, trial: FrozenTrial) -> bool:
        """Return whether this trial ran the control, with which the search is compared."""
        if self._space.control is None:
            one_start = self._space.start_published and not self._space.equal_share
            return one_start and trial.number == 0
        return frozen(params_of(self._space, trial.params)) == self._space.control
