"""One run of the command on a study: its description, and the check that it is unchanged."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from diffrec.data import Dataset
from diffrec.errors import UserError
from search_spaces import SearchSpace
from search_spaces.definition import SEARCH_FIELDS
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.study.config import StudyConfig, StudyPlan
from tune_runner.study.folder import StudyFolder, json_diff, to_json


@dataclass(frozen=True, slots=True)
class StudySession:
    """One run of the command on one study."""

    config: StudyConfig
    space: SearchSpace
    plan: StudyPlan
    dataset: Dataset
    folder: StudyFolder
    uri: str
    request: ResourceRequest
    """The user's request, with the number of trials to fuse resolved if that is possible before Ray
    runs."""


def describe_study(session: StudySession) -> dict[str, Any]:
    """Return the description of the study as JSON values."""
    dataset = session.dataset
    return to_json(
        {
            "settings": asdict(session.config),
            "space": session.space.to_dict(),
            "plan": asdict(session.plan),
            "dataset": {
                "name": dataset.name,
                "sha256": dataset.sha256,
                "protocol": dataset.protocol,
            },
        }
    )


def check_unchanged(folder: StudyFolder, new: Mapping[str, Any], *, resume: bool) -> None:
    """Raise UserError unless the study is resumed and unchanged."""
    old = folder.read()
    changed = [
        line
        for part in ("space", "dataset")
        for line in json_diff(_identity(old.get(part)), _identity(new[part]), part)
    ]
    name = folder.path.name
    if changed:
        shown = "; ".join(changed[:3]) + (" ..." if len(changed) > 3 else "")
        raise UserError(
            f"Study {name!r} exists and is another one: {shown}; choose another --name."
        )
    if not resume:
        raise UserError(
            f"Study {name!r} exists already; choose another --name, or resume it with: "
            f"{folder.resume_command}"
        )


def _identity(part: Any) -> Any:
    """Return what makes a space or dataset another one: not how it is searched."""
    if not isinstance(part, Mapping):
        return part
    return {key: value for key, value in part.items() if key not in SEARCH_FIELDS}
