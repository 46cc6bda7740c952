"""Search space of a study: by name, by file, or given as an object, which the settings then hold.

An object's classes of recommenders that stand in files are named beside it (`RECOMMENDERS`), so
that another process, and `--resume`, can load them as a space file would.
"""

from collections.abc import Mapping
from typing import Any

from diffrec.config import external
from diffrec.errors import UserError
from search_spaces import SPACES, SearchSpace, get_space
from search_spaces.variants import variants_of

RECOMMENDERS = "recommenders"
"""Key of the setting beside the fields of a space: where the classes of files are found."""

SpaceSetting = str | dict[str, Any]
"""Name or path of a space, or the space itself as `space_setting` writes it."""


def space_setting(space: Any) -> SpaceSetting:
    """Return the setting for a space in any form that Python may give it.

    Args:
        space: a `SearchSpace`, its fields as a mapping (`SearchSpace.to_dict`), or a name or path
            as `--space` takes it.

    Raises:
        UserError: it is none of these, or a mapping that is no space.
    """
    if isinstance(space, Mapping):
        space = SearchSpace.from_dict(space)
    if not isinstance(space, str | SearchSpace):
        raise UserError(
            "A study needs a SearchSpace, its fields as a dict, or the name or path of one, but "
            f"got {space!r:.60} ({type(space).__name__}); give one of these."
        )
    if isinstance(space, str):
        return space
    if SPACES.get(space.name) == space:
        return space.name
    classes = filter(None, map(external.find, variants_of(space)))
    families = [family for family in map(external.family_of, classes) if ":" in family]
    return {**space.to_dict(), **({RECOMMENDERS: families} if families else {})}


def study_space(setting: SpaceSetting) -> SearchSpace:
    """Return the space that a setting stands for.

    Raises:
        UserError: there is none, or it cannot be used.
    """
    if isinstance(setting, str):
        return get_space(setting)
    fields = dict(setting)
    for family in fields.pop(RECOMMENDERS, ()):
        external.external_class(family, trusted=True)
    return SearchSpace.from_dict(fields)
