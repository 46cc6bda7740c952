"""Locations of checkpoints: folders, or URLs of an object store."""

from pathlib import Path

STATE = "state.pt"


_TRIAL = "trial_{:04d}"


def is_url(base: str) -> bool:
    """Say whether `base` names an object store rather than a folder."""
    return "://" in base


def join_location(base: str, name: str) -> str:
    """Return what lies in `base` under `name`; a URL keeps its query at the end."""
    if not is_url(base):
        return str(Path(base) / name)
    path, mark, query = base.partition("?")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def study_location(store: str, study: str) -> str:
    """Return where the object store at `store` keeps a study's checkpoints."""
    return join_location(store, study)


def trial_location(base: str, number: int) -> str:
    """Return where the checkpoint of a trial lies, for `open_store`."""
    return join_location(base, _TRIAL.format(number))
