"""Coordinates: the names, distributions and values under which Optuna keeps a point."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.domains import Choice, IntUniform, LogUniform, PlainDomain, coordinate_name
from search_spaces.space import SearchSpace


def coordinate(space: SearchSpace, path: str) -> str:
    """Return the name under which Optuna keeps the parameter: a ratio has a name of its own."""
    return coordinate_name(path, space.domains[path])


def coordinates(space: SearchSpace, samples: Mapping[str, Any]) -> dict[str, Any]:
    """Return samples by path (`SearchSpace.grid_samples`) as Optuna keeps them."""
    return {
        coordinate(space, path): _stored(space.sampled_domain(path), value)
        for path, value in samples.items()
    }


def distribution_of(domain: PlainDomain) -> BaseDistribution:
    """Return Optuna's distribution of a domain."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.labels)
    if isinstance(domain, IntUniform):
        return IntDistribution(domain.low, domain.high, log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=isinstance(domain, LogUniform))


def value_of(domain: PlainDomain, stored: Any) -> Any:
    """Return the value behind what Optuna keeps: a list is kept as its JSON text."""
    if not isinstance(domain, Choice):
        return stored
    return domain.values[domain.labels.index(stored)]


def suggest(trial: optuna.Trial, name: str, domain: PlainDomain) -> Any:
    """Return the value that a trial proposes for a parameter."""
    if isinstance(domain, Choice):
        return value_of(domain, trial.suggest_categorical(name, list(domain.labels)))
    if isinstance(domain, IntUniform):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log)
    log = isinstance(domain, LogUniform)
    return trial.suggest_float(name, domain.low, domain.high, log=log)


def params_of(space: SearchSpace, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that stored coordinates stand for.

    Raises:
        KeyError: one that is active is missing.
    """
    return space.build_point(lambda path, domain: value_of(domain, stored[coordinate(space, path)]))


def _stored(domain: PlainDomain, value: Any) -> Any:
    return domain.labels[domain.values.index(value)] if isinstance(domain, Choice) else value
