"""Checks every part of a study's description (study.json) that is read."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from diffrec.config.serialization import check_type
from diffrec.errors import UserError
from tune_runner.study.config import StudyConfig
from tune_runner.study.folder import SUMMARY, StudyFolder

Kind = type | tuple[type, ...]
"""Types that a part may have."""

FOR_LOOKUP: dict[str, Kind] = {"settings": dict}
"""Settings needed to find a trial's checkpoint."""

FOR_STATUS: dict[str, Kind] = {
    "settings": dict,
    "settings.name": str,
    "plan": dict,
    "plan.trials": int,
    "plan.sampler": str,
    "space": dict,
    "space.name": str,
    "space.objective": dict,
    "space.objective.name": str,
    "space.objective.direction": str,
    "dataset": dict,
    "dataset.name": str,
}
"""Settings needed to show how far a study is."""

FOR_RESUME: dict[str, Kind] = {
    **FOR_STATUS,
    "settings.space": (str, dict),
    "plan.seeds": list,
    "dataset.sha256": str,
    "dataset.protocol": str,
}
"""Settings needed to resume a study."""


def read_description(folder: StudyFolder, needs: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the description of a study, its parts of the right types.

    Args:
        folder: of the study.
        needs: dotted paths of the parts that must be there, with their types.

    Raises:
        UserError: there is no such study, or the file is not what a study wrote.
    """
    description = folder.read()
    try:
        for path, kind in needs.items():
            _check_kind(description, path, kind)
        _check_settings(description["settings"])
    except UserError as error:
        raise UserError(
            f"{folder.path / SUMMARY} must be what a study wrote, but is not: {error} Restore it "
            "from a copy."
        ) from None
    return description


def _check_kind(description: Mapping[str, Any], path: str, kind: Kind) -> None:
    value: Any = description
    for name in path.split("."):
        value = value.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(one.__name__ for one in kinds)
        raise UserError(f"`{path}` must be a {names}, but is {value!r:.60}.")


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Check the types of the settings, but for the space and those that a resumed run sets."""
    hints = get_type_hints(StudyConfig)
    for name, value in settings.items():
        if name not in hints:
            raise UserError(f"`settings.{name}` is no setting of a study.")
        if name not in ("space", "request", "limits"):
            check_type(hints[name], value, f"settings.{name}")
