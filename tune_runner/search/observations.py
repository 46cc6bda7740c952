"""View of a study that samplers learn from: one observation for each point, not for each seed.

A point that ran with several seeds would otherwise count several times, and its luckiest seed
would stand for it.
"""

import copy
from collections.abc import Callable, Hashable, Iterable, Sequence
from statistics import fmean
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tune_runner.schema import POINT, ROLE

_STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING)
"""States of a point by the best of its trials; FAIL if it has no other."""


def trials_by_point(trials: Iterable[FrozenTrial]) -> dict[Hashable, list[FrozenTrial]]:
    """Group the trials of the search by their point; a trial without one is its own.

    Confirmations are left out: nothing may be selected by their seeds.
    """
    points: dict[Hashable, list[FrozenTrial]] = {}
    for trial in trials:
        if ROLE not in trial.user_attrs:
            key = trial.user_attrs.get(POINT, ("trial", trial.number))
            points.setdefault(key, []).append(trial)
    return points


def observations(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return one trial for each point: its first, with the mean of the complete values."""
    return [_observation(group) for group in trials_by_point(trials).values()]


def _observation(trials: Sequence[FrozenTrial]) -> FrozenTrial:
    if len(trials) == 1:
        return trials[0]
    states = [trial.state for trial in trials]
    state = next((state for state in _STATES if state in states), TrialState.FAIL)
    chosen = trials[states.index(state)]
    seen = copy.copy(trials[0])
    seen.state, seen.intermediate_values = state, chosen.intermediate_values
    seen.datetime_complete = chosen.datetime_complete
    complete = [trial.values or () for trial in trials if trial.state is TrialState.COMPLETE]
    # the setter compares with what was there; both forms must be able to change
    seen._values = [fmean(values) for values in zip(*complete, strict=True)] or None
    return seen


class StudyView:
    """Study as a sampler sees it: an Optuna study but for its trials."""

    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
        self._viewed, self._seen = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._viewed, name)

    @property
    def trials(self) -> list[FrozenTrial]:
        """The observations."""
        return self.get_trials()

    def get_trials(
        self, deepcopy: bool = True, states: Iterable[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the observations in these states; None: all."""
        wanted = None if states is None else tuple(states)
        seen = [trial for trial in self._seen if wanted is None or trial.state in wanted]
        return copy.deepcopy(seen) if deepcopy else seen

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Iterable[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        """Return the same; samplers of Optuna call it."""
        return self.get_trials(deepcopy, states)

    def only(self, keep: Callable[[FrozenTrial], bool]) -> "StudyView":
        """Return a view of those observations that `keep` accepts."""
        return StudyView(self._viewed, [trial for trial in self._seen if keep(trial)])
