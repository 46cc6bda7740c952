"""Finds the checkpoint of an MLflow run, for `python -m diffrec recommend --run ID`.

`diffrec` imports no MLflow, so it loads this module as an entry point (pyproject.toml).
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffrec.commands.runs import TrackedRun
from diffrec.errors import UserError, did_you_mean
from tune_runner import schema
from tune_runner.checkpoints.locations import STATE, study_location, trial_location
from tune_runner.checkpoints.store import download, list_trials
from tune_runner.study.description import FOR_LOOKUP, read_description
from tune_runner.study.folder import StudyFolder
from tune_runner.tracking.database import quiet_mlflow
from tune_runner.tracking_uri import check_readable, database_path, default_tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_ID = re.compile("[0-9a-f]{32}")


def find_run(name: str) -> TrackedRun:
    """Return where the checkpoint of an MLflow run lies: a trial's, or a study's best.

    Args:
        name: id of the run, or the name of a study.

    Raises:
        UserError: there is no such run, or its checkpoint was not kept.
    """
    uri = default_tracking_uri()
    check_readable(uri, "run this where the study ran, or set MLFLOW_TRACKING_URI")
    database = database_path(uri)
    client = connect(uri)
    run = _get_run(client, name) if _ID.fullmatch(name) else find_study(client, name)
    kind = run.data.tags.get(schema.KIND)
    if kind not in ("trial", "study"):
        raise UserError(f"MLflow run {name} is no trial or study of ours; give the id of one.")
    parent = run if kind == "study" else _get_run(client, run.data.tags[schema.PARENT])
    tags = parent.data.tags
    path = (Path() if database is None else database.parent) / tags.get(schema.FOLDER, "")
    dataset = dataset_of(parent)
    folder = StudyFolder(path.parent, path.name)
    if kind == "study":
        return best_run(folder, dataset)
    settings = read_description(folder, FOR_LOOKUP)["settings"]
    number = int(run.data.tags[schema.TRIAL_NUMBER])
    return _tracked(folder, settings, number, dataset, f" (run {parent.info.run_id})")


def dataset_of(study: "Run") -> dict[str, str]:
    """Return name, sha256 and protocol of the dataset of a study's run.

    Raises:
        UserError: the record does not have them.
    """
    tags = study.data.tags
    keys = {"name": schema.DATASET, "sha256": "dataset_sha256", "protocol": schema.PROTOCOL}
    missing = [key for key in keys.values() if key not in tags]
    if missing:
        raise UserError(
            f"The record of study {study.info.run_name!r} has no tag {missing[0]!r}, which says "
            "what its models were trained on; give a checkpoint with --checkpoint and --dataset."
        )
    return {name: tags[key] for name, key in keys.items()}


def best_run(folder: StudyFolder, dataset: dict[str, str]) -> TrackedRun:
    """Return the checkpoint of a study's best trial.

    Args:
        folder: of the study.
        dataset: name, sha256 and protocol of what it was trained on.

    Raises:
        UserError: the study keeps none, or several since it is not complete.
    """
    settings = read_description(folder, FOR_LOOKUP)["settings"]
    store = store_of(folder, settings)
    return _tracked(folder, settings, _best_number(folder, store), dataset)


def store_of(folder: StudyFolder, settings: Mapping[str, Any]) -> str | None:
    """Return the study's place in an object store; None if its folder keeps the checkpoints."""
    url = settings.get("checkpoints")
    return None if url is None else study_location(url, folder.path.name)


def _tracked(
    folder: StudyFolder,
    settings: Mapping[str, Any],
    number: int,
    dataset: dict[str, str],
    best: str = "",
) -> TrackedRun:
    store = store_of(folder, settings)
    location = store or str(folder.checkpoints)
    with unreadable_as_user_error(location):
        checkpoint = checkpoint_file(folder, store, number)
        if checkpoint is None:
            raise UserError(
                f"The checkpoint of trial {number:04d} was not kept in {location}: a study keeps "
                f"its best trial's{best}; train this one again with `python "
                "-m diffrec train --config` and the run's config.json."
            )
    data_dir = settings.get("data_dir")
    return TrackedRun(checkpoint, dataset, None if data_dir is None else Path(data_dir))


def connect(uri: str) -> "MlflowClient":
    """Return a client of a store that can be read (`check_readable`)."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow.tracking import MlflowClient

    quiet_mlflow()
    return MlflowClient(uri)


def _get_run(client: "MlflowClient", run_id: str) -> "Run":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"MLflow has no run {run_id!r} ({reason}); `mlflow ui` shows each run's id."
        ) from None


def find_study(client: "MlflowClient", name: str, identity: str = "") -> "Run":
    """Return the run of a study; of several of that name the one with the id, else the newest.

    Raises:
        UserError: there is none, or MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        experiment = client.get_experiment_by_name(schema.EXPERIMENT)
        ids = [] if experiment is None else [experiment.experiment_id]
        runs = client.search_runs(ids, f"tags.{schema.KIND} = 'study'", max_results=1000)
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"MLflow does not answer ({reason}); check MLFLOW_TRACKING_URI.") from None
    named = [run for run in runs if run.data.tags.get(schema.STUDY, "") == name]
    if not named:
        known = [run.data.tags.get(schema.STUDY, "") for run in runs]
        raise UserError(
            f"MLflow has no run or study {name!r}{did_you_mean(name, known)}; `mlflow ui` "
            "shows them."
        )
    own = [run for run in named if identity and run.data.tags.get(schema.STUDY_ID) == identity]
    return max(own or named, key=lambda run: run.info.start_time)


def _best_number(folder: StudyFolder, store: str | None) -> int:
    """Return the number of the one trial whose checkpoint a finished study keeps."""
    location = store or str(folder.checkpoints)
    with unreadable_as_user_error(location):
        numbers = _trial_numbers(folder) if store is None else list_trials(store)
    if not numbers:
        raise UserError(
            f"Study {folder.path.name!r} has no trained model in {location}; run it, or resume "
            f"with `{folder.resume_command}`."
        )
    if len(numbers) > 1:
        raise UserError(
            f"Study {folder.path.name!r} has {len(numbers)} checkpoints in {location}, so its name "
            "does not say which; give the MLflow run id of a trial."
        )
    return numbers.pop()


def _trial_numbers(folder: StudyFolder) -> set[int]:
    return {
        int(path.parent.name.removeprefix("trial_"))
        for path in folder.checkpoints.glob(f"trial_*/{STATE}")
    }


def checkpoint_file(folder: StudyFolder, store: str | None, number: int) -> Path | None:
    """Return the file of a trial's checkpoint, downloaded if need be; None if there is none."""
    if store is not None:
        return download(store, number, folder.checkpoints)
    path = Path(trial_location(str(folder.checkpoints), number)) / STATE
    return path if path.is_file() else None


@contextmanager
def unreadable_as_user_error(location: str) -> Iterator[None]:
    """Turn an error of reading checkpoints into one sentence."""
    try:
        yield
    except OSError as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise UserError(
            f"The checkpoints in {location} cannot be read ({reason}); correct that and try again."
        ) from None
