"""Adds a cell for each baseline to a grid."""

from dataclasses import replace

from diffrec.config.presets_baselines import BASELINES
from diffrec.errors import UserError
from search_spaces.definition import Condition
from search_spaces.domains import Choice
from search_spaces.space import SearchSpace
from search_spaces.variants import VARIANT, variants_of

SUFFIX = "+baselines"


def beside_baselines(space: SearchSpace) -> SearchSpace:
    """Return the grid `space` with one more cell for every baseline that it lacks.

    The baselines have their usual values; what `space` searches or compares stays as it is.

    Raises:
        UserError: the space is sampled, so it has no cells to compare with.
    """
    if space.strategy != "grid":
        raise UserError(
            f"Space {space.name!r} samples its points, so baselines cannot be added as cells; "
            "run --space baselines on the same dataset and compare the two studies."
        )
    searched = variants_of(space)
    missing = [name for name in BASELINES if name not in searched]
    unconditional = [
        path for path in space.domains if path != VARIANT and path not in space.conditions
    ]
    domains = {path: domain for path, domain in space.domains.items() if path != VARIANT}
    control = space.control
    if control is not None and VARIANT not in control:
        control = {VARIANT: searched[0], **control}
    return replace(
        space,
        name=f"{space.name}_beside_baselines",
        variant=None,
        domains={VARIANT: Choice(*searched, *missing), **domains},
        conditions={
            **space.conditions,
            **dict.fromkeys(unconditional, Condition(VARIANT, searched)),
        },
        control=control,
    )
