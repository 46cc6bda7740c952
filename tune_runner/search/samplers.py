"""Optuna's samplers by the names of `--sampler`, and any other by its import path.

Their random numbers are seeded by the study. Points are drawn as a whole and once
(`search.proposals`). Optional libraries are loaded only with the sampler that needs them.
"""

import importlib
import inspect
import warnings
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler

from diffrec.command_line import first_line
from diffrec.errors import UserError
from search_spaces.definition import is_import_path
from search_spaces.space import SearchSpace
from tune_runner.search.hierarchical import HierarchicalTPESampler
from tune_runner.search.proposals import MakeSampler, PointSampler
from tune_runner.study.sampler_rules import check_sampler


def make_sampler(name: str, space: SearchSpace, seed: int) -> BaseSampler:
    """Return the sampler of a study.

    Args:
        name: one of `search_spaces.definition.STRATEGIES`, or `module:Class`. The points of a grid
            are queued before the study begins, so its sampler never draws one.
        space: that it draws from.
        seed: of its random numbers.

    Raises:
        UserError: the sampler cannot search this space, or cannot be loaded.
    """
    check_sampler(name, space)
    return PointSampler(_maker(name, space), space, seed)


def _maker(name: str, space: SearchSpace) -> MakeSampler:
    """Return what makes the sampler of this name."""
    tpe = optuna.samplers.TPESampler
    match name:
        case "grid" | "random":
            return lambda seed: optuna.samplers.RandomSampler(seed=seed)
        case "tpe":
            return lambda seed: tpe(seed=seed, multivariate=False)
        case "tpe-multivariate":
            return lambda seed: tpe(seed=seed, multivariate=True)
        case "tpe-grouped":
            return lambda seed: _quiet(tpe, seed=seed, multivariate=True, group=True)
        case "tpe-hierarchical":
            return partial(HierarchicalTPESampler, space)
        case "gp":
            return lambda seed: _quiet(
                optuna.samplers.GPSampler, seed=seed, warn_independent_sampling=False
            )
        case "cmaes":
            return lambda seed: _quiet(
                optuna.samplers.CmaEsSampler, seed=seed, warn_independent_sampling=False
            )
        case "qmc":
            return lambda seed: _quiet(
                optuna.samplers.QMCSampler,
                seed=seed,
                scramble=True,
                warn_independent_sampling=False,
            )
    return partial(_construct, _load(name), name)


def _quiet(kind: Any, **arguments: Any) -> BaseSampler:
    """Return a sampler, without the warning that Optuna may change it one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return kind(**arguments)


def _load(path: str) -> Any:
    """Return the sampler's class (or a function that makes one) of `module:Class`.

    Raises:
        UserError: there is no such module or name, or it is no sampler.
    """
    if not is_import_path(path):
        raise ValueError(f"no sampler is made for {path!r}")
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - a user's module may raise anything
        raise UserError(
            f"The sampler {path!r} cannot be imported ({type(error).__name__}: "
            f"{first_line(error)}); its module must lie on Python's path."
        ) from None
    found = getattr(module, name, None)
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        raise UserError(
            f"The sampler {path!r} must be a subclass of optuna.samplers.BaseSampler, but is "
            f"{'missing' if found is None else repr(found)}."
        )
    return found


def _construct(found: Any, path: str, seed: int) -> BaseSampler:
    """Return a user's sampler, with the seed if it takes one."""
    takes_seed = "seed" in inspect.signature(found).parameters
    try:
        return _quiet(found, **({"seed": seed} if takes_seed else {}))
    except Exception as error:  # noqa: BLE001 - a user's class may raise anything
        raise UserError(
            f"The sampler {path!r} cannot be made ({type(error).__name__}: {first_line(error)}); "
            "its class must need no arguments but `seed`."
        ) from None
