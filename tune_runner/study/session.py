"""The parts of a study before it runs: its identity, its ledger, its tracker."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from diffrec.data import Dataset
from diffrec.errors import UserError
from search_spaces import SearchSpace
from tune_runner.resources.allocation import Wish
from tune_runner.study.config import Plan, StudyConfig
from tune_runner.study.folder import StudyFolder, differences, plain


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command on one study."""

    config: StudyConfig
    space: SearchSpace
    plan: Plan
    dataset: Dataset
    folder: StudyFolder
    uri: str
    wish: Wish
    """The user's, with the number of trials to fuse settled where that can be before Ray runs."""

    @property
    def maximize(self) -> bool:
        """Whether a higher objective is better."""
        return self.space.objective.direction == "maximize"


def summary(session: Session) -> dict[str, Any]:
    """Return what the study is, as JSON values."""
    dataset = session.dataset
    return plain(
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


def check_same(folder: StudyFolder, new: Mapping[str, Any], *, resume: bool) -> None:
    """Raise UserError unless the study is to be taken up, and is still the same."""
    old = folder.read()
    changed = [
        line
        for part in ("space", "dataset")
        for line in differences(old.get(part), new[part], part)
    ]
    name = folder.path.name
    if changed:
        shown = "; ".join(changed[:3]) + (" ..." if len(changed) > 3 else "")
        raise UserError(
            f"Study {name!r} exists and is another one: {shown}; choose another --name."
        )
    if not resume:
        raise UserError(
            f"Study {name!r} exists already; go on with --resume {name}, or choose another --name."
        )
