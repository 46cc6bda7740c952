"""Locations of checkpoints: folders, or URLs of an object store."""

from pathlib import Path

from diffrec.credentials import without_password
from diffrec.errors import UserError, did_you_mean

STATE = "state.pt"
"""Name of a trial's checkpoint in its folder."""

TRIAL_PREFIX = "trial_"
_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file")


def is_url(base: str) -> bool:
    """Return whether `base` is an object store rather than a folder."""
    return "://" in base


def check_store_url(url: str) -> None:
    """Refuse a URL that names no object store.

    Raises:
        UserError: pyarrow knows no such store, or the bucket is missing.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES or not rest.strip("/").partition("?")[0]:
        raise UserError(
            "--checkpoints must be a URL that pyarrow can open, for example s3://bucket/path "
            f"or gs://bucket/path, but got {without_password(url)!r}"
            f"{did_you_mean(scheme, _SCHEMES)}; correct it."
        )


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
