"""TPE along the declared conditions of a space: a group of parameters after those it depends on.

Optuna's own TPE either takes every parameter alone, or models jointly what all trials have in
common (`multivariate`), or derives groups from the trials that happened to be run (`group`). The
space declares when a parameter is active; so the groups are known from the start, and each is
sampled from the trials in which it was active, split into better and worse among themselves. Best
of all trials would mostly be trials of another branch.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from search_spaces.domains import RelativeDomain
from search_spaces.space import SearchSpace
from search_spaces.variants import VARIANT
from tune_runner.search.coordinates import coordinate, distribution_of
from tune_runner.search.observations import StudyView

Group = dict[str, BaseDistribution]
"""Parameters that are active in the same trials, by coordinate."""

_STARTUP = 10
"""Ended trials in which a group was active before it is modelled; until then it is random."""

_SHARE = 0.5
"""Part of an equal share of the points that every variant gets, however poor it looks."""


def groups_of(space: SearchSpace) -> list[Group]:
    """Return the parameters of a space in groups that are active together, parents first."""
    groups: dict[frozenset[str], Group] = {}
    for path in space.ordered_paths():
        distribution = distribution_of(space.sampled_domain(path))
        if not distribution.single():
            group = groups.setdefault(_conditions(space, path), {})
            group[coordinate(space, path)] = distribution
    return list(groups.values())


def _conditions(space: SearchSpace, path: str) -> frozenset[str]:
    """Return all conditions under which a parameter is active, its ancestors' included."""
    domain, condition = space.domains[path], space.conditions.get(path)
    found: frozenset[str] = frozenset()
    if isinstance(domain, RelativeDomain):
        found |= _conditions(space, domain.path)
    if condition is not None:
        found |= _conditions(space, condition.parent)
        found |= {f"{condition.parent} in {condition.allowed!r}"}
    return found


class HierarchicalTPESampler(BaseSampler):
    """TPE that samples each group jointly once its conditions are known to hold."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        """Read the groups from the space.

        Args:
            space: whose conditions are the map.
            seed: of the random numbers.
        """
        self._group_of = {name: group for group in groups_of(space) for name in group}
        self._tpe = TPESampler(
            seed=seed, multivariate=True, n_startup_trials=_STARTUP, constant_liar=True
        )
        self._random = RandomSampler(seed=seed)
        self._sampled: dict[str, Any] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Begin a new point; nothing of it is known yet."""
        self._sampled = {}
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: groups are sampled when their first parameter is asked for."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the parameter's value; its group is sampled with the first of its parameters."""
        if param_name == VARIANT and (neglected := self._neglected(study, param_distribution)):
            return neglected
        if param_name not in self._sampled:
            group = {
                name: distribution
                for name, distribution in self._group_of[param_name].items()
                if name not in trial.params
            }
            view: Any = StudyView(study, study.get_trials(deepcopy=False)).only(
                lambda other: group.keys() <= other.params.keys()
            )
            self._sampled |= self._tpe.sample_relative(view, trial, group)
        if param_name not in self._sampled:
            return self._random.sample_independent(study, trial, param_name, param_distribution)
        return self._sampled[param_name]

    def _neglected(self, study: optuna.Study, distribution: BaseDistribution) -> str | None:
        """Return the variant with the fewest points if it is far below an equal share.

        A variant whose own parameters were never well chosen looks worse than it is.
        """
        choices: Any = getattr(distribution, "choices", ())
        tried = Counter(trial.params.get(VARIANT) for trial in study.get_trials(deepcopy=False))
        share = sum(tried[choice] for choice in choices) / max(1, len(choices))
        fewest = min(choices, key=lambda choice: tried[choice])
        return fewest if tried[fewest] < share * _SHARE else None
