"""Rules that say which sampler can search which space; no sampler is loaded for them."""

import importlib.util

from diffrec.errors import UserError
from search_spaces.definition import is_import_path
from search_spaces.domains import Choice
from search_spaces.space import SearchSpace
from search_spaces.variants import VARIANT


def check_sampler(name: str, space: SearchSpace) -> None:
    """Refuse a sampler that cannot search the space, or whose module is missing.

    Raises:
        UserError: it cannot, or a package is not installed.
    """
    if name == "cmaes":
        _check_cmaes(space)
    if is_import_path(name) and not _exists(package := name.partition(":")[0].partition(".")[0]):
        raise UserError(
            f"The sampler {name!r} cannot be imported: there is no module {package!r} on Python's "
            "path; install it, or start where it lies."
        )


def _check_cmaes(space: SearchSpace) -> None:
    """Refuse a space that CMA-ES would mostly search at random, and CMA-ES without its package."""
    if not space.goals.is_plain:
        kind = "several objectives" if space.objectives else "a constraint"
        raise UserError(
            f"--sampler cmaes knows one objective and no constraint, but space {space.name!r} has "
            f"{kind}; use tpe-hierarchical."
        )
    is_fixed = space.equal_share  # each variant is a search of its own
    searched = [path for path in space.domains if not (is_fixed and path == VARIANT)]
    for path in searched:
        condition = space.conditions.get(path)
        if isinstance(space.sampled_domain(path), Choice):
            reason = "has listed values"
        elif condition is not None and not (is_fixed and condition.parent == VARIANT):
            reason = "has a condition"
        else:
            continue
        raise UserError(
            "--sampler cmaes searches intervals that are always active, but "
            f"`{path}` of space {space.name!r} {reason}; use tpe-hierarchical."
        )
    if len(searched) < 2:
        raise UserError(
            f"--sampler cmaes needs two intervals or more, but space {space.name!r} has "
            f"{len(searched)}; use tpe."
        )
    if not _exists("cmaes"):
        raise UserError(
            "--sampler cmaes needs the package cmaes, which is not installed; pip install "
            "'diffrec-tune[cmaes]'."
        )


def _exists(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
