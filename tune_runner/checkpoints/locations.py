"""Locations of checkpoints: folders, or URLs of an object store."""

from pathlib import Path

STATE = "state.pt"
"""Name of a trial's checkpoint in its folder."""

TRIAL_PREFIX = "trial_"


def is_url(base: str) -> bool:
    """Return whether `base` is an object store rather than a folder."""
    return "://" in base


def join_location(base: str, name: str) -> str:
    """Return the location of `name` in `base`; a URL keeps its query at the end."""
    if not is_url(base):
        return str(Path(base) / name)
    path, mark, query = base.partition("?")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def study_location(store: str, study: str) -> str:
    """Return the location of a study's checkpoints in the object store `store`."""
    return join_location(store, study)


def trial_folder(number: int) -> str:
    """Return the name of a trial's folder."""
    return f"{TRIAL_PREFIX}{number:04d}"


def trial_location(base: str, number: int) -> str:
    """Return the location of a trial's checkpoint, for `CheckpointStore`."""
    return join_location(base, trial_folder(number))
