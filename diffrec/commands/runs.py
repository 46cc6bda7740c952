"""Finds a trained model by the id of its tracking run, through the installed tracker.

This package imports no tracker. `tune_runner` registers one as an entry point of the group below,
so `--run` works wherever both are installed.
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
    """Parent of the dataset's folder; None: the default search path."""


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
