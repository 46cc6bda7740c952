"""A trained model by the id of its tracking run: whoever tracks runs says where its files lie.

This package knows no tracker. `tune_runner` offers one as an entry point of the group below, so the
knowledge stays where it is and `--run` works wherever the two are installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from diffrec.errors import UserError

GROUP = "diffrec.runs"


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """Checkpoint of a tracked run, and the dataset that it was trained on."""

    checkpoint: Path
    dataset: dict[str, str]
    """name, sha256, protocol."""

    data_dir: Path | None
    """Folder that the dataset lay in; None for the default places."""


FindRun = Callable[[str], TrackedRun]


def find_run(run: str) -> TrackedRun:
    """Ask the tracker for the run with the id `run`.

    Raises:
        UserError: no tracker is installed, or it has no such run with a checkpoint.
    """
    trackers = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    if not trackers:
        raise UserError(
            "--run needs an installed tracker, but there is none; install this project (pip "
            "install .), or give --checkpoint."
        )
    find: FindRun = trackers[0].load()
    return find(run)
