"""Replays a search on recorded curves: the sampler, the pruner and the seeds of a real study.

The Optuna study, its store and its rules are those of a real one; only the trials are not trained.
Time is counted in epochs, and each simulated worker takes the next trial when it is free.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import optuna

from search_spaces.space import SearchSpace
from tune_runner.search.coordinates import params_of
from tune_runner.search.pruners import make_pruner
from tune_runner.search.samplers import make_sampler
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyPlan


class Landscape(Protocol):
    """Curves of a space's points, known in advance."""

    space: SearchSpace
    max_epochs: int
    eval_every: int

    def curve(self, params: Mapping[str, Any], seed: int) -> dict[int, float]:
        """Return the objective at each validated epoch, as one seed would show it."""
        ...

    def truth(self, params: Mapping[str, Any]) -> float:
        """Return the expected best value of a point, over all seeds."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayedSearch:
    """Course of one simulated study, after each trial that ended."""

    truths: tuple[float, ...]
    """Expected value of the point that led."""

    epochs: tuple[int, ...]
    """Epochs trained so far by the trials that have ended."""

    full_epochs: tuple[int, ...]
    """Epochs that the same trials would have trained without a pruner."""


def replay_search(
    landscape: Landscape, plan: StudyPlan, *, workers: int, seed: int
) -> ReplayedSearch:
    """Simulate one study to the end of its budget.

    Args:
        landscape: what its trials would show.
        plan: sampler, pruner, seeds and number of trials.
        workers: trials at a time.
        seed: of the sampler's random numbers.

    Raises:
        UserError: the sampler cannot search the space.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = landscape.space
    study = optuna.create_study(
        direction=space.objective.direction,
        sampler=make_sampler(plan.sampler, space, seed),
        pruner=make_pruner(
            plan.pruner, max_epochs=landscape.max_epochs, eval_every=landscape.eval_every
        ),
    )
    store = StudyStore(study, space, plan)
    if not plan.is_sampled:
        store.enqueue_grid()
    truths: list[float] = []
    epochs, full = [0], [0]
    running: list[tuple[int, int, _Run]] = []
    now, order = 0, count()
    while True:
        while len(running) < workers and (record := store.ask()) is not None:
            curve = landscape.curve(record.params, record.seed)
            run = _Run(record.number, tuple(sorted(curve.items())), now)
            heapq.heappush(running, (run.next_end, next(order), run))
        if not running:
            break
        now, _, run = heapq.heappop(running)
        epoch, value = run.steps[run.done]
        run.done += 1
        should_prune = store.report(run.number, epoch, value)
        if run.done < len(run.steps) and not should_prune:
            heapq.heappush(running, (run.next_end, next(order), run))
            continue
        if run.done == len(run.steps):
            best = min((value for _, value in run.steps), key=space.objective.sort_key)
            store.complete(run.number, best)
        else:
            store.prune(run.number)
        epochs.append(epochs[-1] + epoch)
        full.append(full[-1] + run.steps[-1][0])
        truths.append(_truth(landscape, store, study))
    return ReplayedSearch(tuple(truths), tuple(epochs[1:]), tuple(full[1:]))


@dataclass(slots=True)
class _Run:
    """Trial that runs: its curve, and how many of its validations are done."""

    number: int
    steps: tuple[tuple[int, float], ...]
    start: int
    done: int = 0

    @property
    def next_end(self) -> int:
        """Time of its next validation, in epochs."""
        return self.start + self.steps[self.done][0]


def _truth(landscape: Landscape, store: StudyStore, study: optuna.Study) -> float:
    leader = store.leader()
    if leader is None:
        return float("nan")
    trial = study.get_trials(deepcopy=False)[leader.number]
    return landscape.truth(params_of(landscape.space, trial.params))
