"""MLflow's store before a study writes to it: made whole, reachable, its experiment active.

A kill while MLflow makes the schema of a new SQLite file would leave half of it, which no later
command could use, so the file is made under another name and renamed when it is complete.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.errors import UserError
from tune_runner import schema
from tune_runner.tracking_uri import (
    artifact_location,
    check_listening,
    check_tracking_uri,
    database_path,
    database_url,
    update_artifact_locations,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag by which MLflow's pages choose what to show: of a study its runs, not traces of agents."""

_ATTEMPTS = 3


def open_store(uri: str) -> "MlflowClient":
    """Return a client of the store at `uri`, whose database is made if there is none.

    Raises:
        UserError: MLflow keeps no record there, or nothing answers.
    """
    check_tracking_uri(uri)
    path = database_path(uri)
    if path is None:
        check_listening(uri)
    else:
        make_database(path)
        update_artifact_locations(path)
    from mlflow.store.db import utils
    from mlflow.tracking import MlflowClient

    utils.MAX_RETRY_COUNT = _ATTEMPTS  # its ten attempts take 100 seconds; the tracker repeats, too
    quiet_mlflow()
    return MlflowClient(uri)


def quiet_mlflow() -> None:
    """Keep MLflow from printing tracebacks: its errors are raised as well."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def active_experiment(client: "MlflowClient", uri: str) -> str:
    """Return the id of the studies' experiment, which is made or restored if need be.

    Writing a tag shows that the store can be written. A local database keeps artifacts beside
    itself.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(schema.EXPERIMENT)
    if experiment is None:
        path = database_path(uri)
        location = None if path is None else artifact_location(path)
        try:
            return client.create_experiment(
                schema.EXPERIMENT, artifact_location=location, tags=_EXPERIMENT_KIND
            )
        except MlflowException:  # another study was faster
            experiment = client.get_experiment_by_name(schema.EXPERIMENT)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":  # in MLflow's pages; it would refuse every run
        client.restore_experiment(experiment.experiment_id)
    for key, value in _EXPERIMENT_KIND.items():
        client.set_experiment_tag(experiment.experiment_id, key, value)
    return experiment.experiment_id


def make_database(path: Path) -> None:
    """Make MLflow's schema in the SQLite file `path` unless it exists: whole, or not at all.

    Raises:
        UserError: its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _folder_lock(path.parent):
            if not path.exists() or path.stat().st_size == 0:
                _make_beside(path)
    except OSError as error:
        raise UserError(
            f"MLflow's database {path} cannot be made ({error.strerror}); choose another place "
            "with MLFLOW_TRACKING_URI."
        ) from None


def _make_beside(path: Path) -> None:
    from mlflow.store.db import utils

    quiet_mlflow()
    new = path.with_name(f".{path.name}.new")
    for suffix in ("", "-journal"):  # of a process that was killed
        path.with_name(f"{new.name}{suffix}").unlink(missing_ok=True)
    engine = utils.create_sqlalchemy_engine_with_retry(database_url(new))
    try:
        utils._initialize_tables(engine)
    finally:
        engine.dispose()
    new.replace(path)


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Lock a folder against other studies that start in it; the lock ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
