"""Draws whole points with any Optuna sampler, each point once.

Optuna asks a sampler for one parameter after the other, so that a sampler cannot know whether the
point as a whole was tried before. Here a point is drawn as a whole, compared with those of the
study, drawn again if it was tried, and then given to Optuna.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from diffrec.errors import UserError
from search_spaces.domains import PlainDomain
from search_spaces.space import SearchSpace
from search_spaces.variants import VARIANT
from tune_runner.search.coordinates import (
    coordinate,
    coordinates,
    distribution_of,
    params_of,
    value_of,
)
from tune_runner.search.front import judged_observations
from tune_runner.search.observations import StudyView

MakeSampler = Callable[[int], BaseSampler]
"""Makes a sampler from the seed of its random numbers."""

_DRAWS = 20
"""Draws of a sampler before a new point is taken at random: it has settled on tried ones."""

_FIXED = "fixed_params"
"""Attribute in which Optuna keeps the values that a trial was queued with."""


class PointSampler(BaseSampler):
    """Sampler of whole points; another sampler says where.

    With `equal_share` each variant is a search of its own: a sampler that sees one variant's points
    only. So any sampler shares equally, and the parameters of a variant are conditional no more.
    """

    def __init__(self, make: MakeSampler, space: SearchSpace, seed: int) -> None:
        """Make no sampler yet.

        Args:
            make: makes the sampler that is asked; called for each variant with `equal_share`.
            space: that the points are drawn from.
            seed: of the random numbers.
        """
        self._make, self._space, self._seed = make, space, seed
        self._rng = Random(seed)
        self._samplers: dict[Any, BaseSampler] = {}
        self._keys: dict[int, str] = {}
        self._point: dict[str, Any] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Draw the point; return the distributions of what was drawn."""
        known = {**trial.system_attrs.get(_FIXED, {}), **trial.params}
        distributions: dict[str, BaseDistribution] = {}
        self._point = {}
        if not self._is_whole(known):
            self._point, distributions = self._new_point(study, trial, known)
        return {name: distributions[name] for name in self._point if name not in known}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the point that was drawn."""
        return {name: self._point[name] for name in search_space}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuse: a point is always drawn as a whole."""
        raise AssertionError(f"{param_name} is no part of the point that was drawn")

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Pass the end of a trial on to the sampler that drew it."""
        sampler = self._samplers.get(self._share(trial.params))
        if sampler is not None:
            view: Any = StudyView(study, self._observations(study))
            sampler.after_trial(view, trial, state, values)

    def _new_point(
        self, study: optuna.Study, trial: FrozenTrial, known: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Return a point that the study does not hold, by coordinate, and its distributions."""
        share = self._share(known)
        if share not in self._samplers:
            self._samplers[share] = self._make(self._seed + len(self._samplers))
        sampler = self._samplers[share]
        seen = self._observations(study)
        if share is not None:
            seen = [other for other in seen if self._share(other.params) == share]
        view: Any = StudyView(study, seen)
        tried = self._tried(study, trial)
        sampler.before_trial(view, trial)
        drawn = self._draw(sampler, view, trial, known)
        for _ in range(_DRAWS - 1):
            if self._key(drawn.params) not in tried:
                return drawn.params, drawn.distributions
            drawn = self._draw(sampler, view, trial, known)
        return self._untried(drawn, tried, known)

    def _observations(self, study: optuna.Study) -> list[FrozenTrial]:
        return judged_observations(study.get_trials(deepcopy=False), self._space.goals)

    def _draw(
        self, sampler: BaseSampler, view: Any, trial: FrozenTrial, known: Mapping[str, Any]
    ) -> FrozenTrial:
        """Return a copy of the trial with a whole point, as Optuna would draw it."""
        drawn = copy.copy(trial)
        drawn.params, drawn.distributions = {}, {}
        space = sampler.infer_relative_search_space(view, drawn)
        relative = sampler.sample_relative(view, drawn, space)

        def draw(path: str, domain: PlainDomain) -> Any:
            name, distribution = coordinate(self._space, path), distribution_of(domain)
            if name in known:
                value = known[name]
            elif distribution.single():
                value = distribution.to_external_repr(_only(distribution))
            elif space.get(name) == distribution and name in relative:
                value = relative[name]
            else:
                value = sampler.sample_independent(view, drawn, name, distribution)
            drawn.params[name], drawn.distributions[name] = value, distribution
            return value_of(domain, value)

        self._space.build_point(draw)
        return drawn

    def _untried(
        self, drawn: FrozenTrial, tried: set[str], known: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Return a point at random of those that are left; the drawn one of an infinite space."""
        left = [
            point
            for point in self._points()
            if self._key(point) not in tried and known.items() <= point.items()
        ]
        if not left:
            return drawn.params, drawn.distributions
        point = self._rng.choice(left)
        distributions: dict[str, BaseDistribution] = {}

        def keep(path: str, domain: PlainDomain) -> Any:
            name = coordinate(self._space, path)
            distributions[name] = distribution_of(domain)
            return value_of(domain, point[name])

        self._space.build_point(keep)
        return point, distributions

    def _points(self) -> list[dict[str, Any]]:
        """Return every point of a finite space by coordinate; none of an infinite one."""
        try:
            return [coordinates(self._space, samples) for samples in self._space.grid_samples()]
        except UserError:
            return []

    def _tried(self, study: optuna.Study, trial: FrozenTrial) -> set[str]:
        """Return the points of all other trials, in whatever state."""
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        for other in trials:
            if other.number not in self._keys:
                point = {**other.system_attrs.get(_FIXED, {}), **other.params}
                if other.number != trial.number and self._is_whole(point):
                    self._keys[other.number] = self._key(point)
        return {key for number, key in self._keys.items() if number != trial.number}

    def _share(self, point: Mapping[str, Any]) -> Any:
        """Return the variant whose search a point belongs to; None: there is one search."""
        return point.get(VARIANT) if self._space.equal_share else None

    def _is_whole(self, point: Mapping[str, Any]) -> bool:
        try:
            params_of(self._space, point)
        except KeyError:
            return False
        return True

    def _key(self, point: Mapping[str, Any]) -> str:
        """Return a text that is equal for points of equal values, whatever their coordinates."""
        return repr(sorted(params_of(self._space, point).items()))


def _only(distribution: BaseDistribution) -> float:
    """Return the only value of a distribution, as Optuna keeps it inside."""
    low: Any = getattr(distribution, "low", 0)
    return float(low)
