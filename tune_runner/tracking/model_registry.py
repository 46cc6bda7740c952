"""Registers a trained recommender with MLflow: a logged model, its version, the champion's alias.

MLflow's own `log_model` works through its global address and active run, which belong to whoever
called us; here everything goes through one client.
"""

import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffrec.command_line import first_line
from diffrec.credentials import without_password
from diffrec.errors import UserError
from diffrec.serving import DEFAULT_K, HISTORY, ITEMS, SCORES
from tune_runner import schema
from tune_runner.tracking.winner import RecordedStudy, read_recorded

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

_IS_PROMPT = "mlflow.prompt.is_prompt"
_VERSIONS = "mlflow.modelVersions"
"""Tag by which the page of a logged model shows its versions."""

_LOADER = "diffrec.serving"


@dataclass(frozen=True, slots=True)
class ServedFiles:
    """Files of a recommender that is to be registered, and how it is asked."""

    code: Path
    """Folder whose entries the model carries into the path."""

    data: Path
    requirements: Sequence[str]
    example: Sequence[Sequence[Any]]
    """Histories that the registry's page shows."""

    has_text_ids: bool
    """True if the items' ids are text; otherwise they are integers."""


class ModelRegistry:
    """MLflow's registry of one store, as far as one registered model needs it."""

    def __init__(self, client: "MlflowClient", uri: str, name: str) -> None:
        """Check that the store has a registry which can hold the name.

        Raises:
            UserError: it has none, or the name is a prompt's.
        """
        self._client, self._uri, self._name = client, uri, name
        model = self._find()
        self._is_new = model is None
        self.champion: str | None = None
        """Version with the champion's alias."""
        if model is not None:
            if model.tags.get(_IS_PROMPT) == "true":
                raise UserError(
                    f"MLflow's registry holds a prompt named {name!r}, which can be no model; "
                    "choose another name."
                )
            version = model.aliases.get(schema.CHAMPION)
            self.champion = None if version is None else str(version)

    def champions_trial(self) -> "tuple[RecordedStudy, Run] | None":
        """Return the study and the trial of the champion; None if they are not in this store."""
        from mlflow.exceptions import MlflowException

        assert self.champion is not None
        try:
            run_id = self._client.get_model_version(self._name, self.champion).run_id
            run = self._client.get_run(str(run_id))
            if run.info.lifecycle_stage == "deleted" or run.data.tags.get(schema.KIND) != "trial":
                return None
            study = self._client.get_run(run.data.tags[schema.PARENT])
        except MlflowException:
            return None
        return read_recorded(self._client, study), run

    def add_version(
        self, trial: "Run", files: ServedFiles, tags: Mapping[str, str], description: str
    ) -> str:
        """Log the model, register it and return its version.

        Args:
            trial: run that trained it.
            files: of the recommender.
            tags: of the model and its version.
            description: of the version, for MLflow's page.

        Raises:
            UserError: the registry does not take it; nothing is left of it.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self._add_version(trial, files, tags, description)
        except MlflowException as error:
            raise self._refusal(error) from error

    def _add_version(
        self, trial: "Run", files: ServedFiles, tags: Mapping[str, str], description: str
    ) -> str:
        experiment, run = trial.info.experiment_id, trial.info.run_id
        model = self._client.create_logged_model(
            experiment, schema.SERVED_MODEL, run, dict(tags), dict(trial.data.params)
        )
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model"
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # MLflow's, about its own types and pandas
                    _save(path, files, model.model_id, run, model.artifact_location, tags)
                self._client.log_model_artifacts(model.model_id, str(path))
            self._client.finalize_logged_model(model.model_id, "READY")
            version = self._register(model.model_id, run, tags, description)
            self._note_output(run, model.model_id)
        except BaseException:
            self._undo(model.model_id, model.artifact_location)
            raise
        return version

    def _undo(self, model_id: str, location: str) -> None:
        """Remove what a version that failed has left; what MLflow does not remove stays."""
        from mlflow.exceptions import MlflowException
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with suppress(MlflowException, NotImplementedError, OSError):
            get_artifact_repository(location).delete_artifacts()
        with suppress(MlflowException):
            self._client.delete_logged_model(model_id)
            model = self._find() if self._is_new else None
            if model is not None and not model.latest_versions:
                self._client.delete_registered_model(self._name)

    def _register(self, model_id: str, run: str, tags: Mapping[str, str], description: str) -> str:
        """Make a version of a logged model, and show it on the model's page."""
        if self._is_new:
            self._client.create_registered_model(self._name)
        with _global_address(self._uri):
            version = self._client.create_model_version(
                self._name,
                f"models:/{model_id}",
                run,
                dict(tags),
                description=description,
                model_id=model_id,
            )
        shown = json.dumps([{"name": self._name, "version": version.version}])
        self._client.set_logged_model_tags(model_id, {_VERSIONS: shown})
        return str(version.version)

    def set_champion(self, version: str) -> None:
        """Give a version the champion's alias."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_registered_model_alias(self._name, schema.CHAMPION, version)
        except MlflowException as error:
            raise self._refusal(error) from error

    def _note_output(self, run: str, model_id: str) -> None:
        """Show the model among the outputs of its trial."""
        from mlflow.entities import LoggedModelOutput

        self._client.log_outputs(run, [LoggedModelOutput(model_id, step=0)])

    def _find(self) -> Any:
        """Return the registered model; None if there is none of that name yet."""
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(self._name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> UserError:
        return UserError(
            f"MLflow's store {without_password(self._uri)} does not take {self._name!r} into a "
            f"registry of models ({first_line(error)}); use a database or a server that has one, "
            "with MLFLOW_TRACKING_URI or MLFLOW_REGISTRY_URI."
        )


@contextmanager
def _global_address(uri: str) -> Iterator[None]:
    """Let MLflow's registry look a model up at `uri`: it asks MLflow's global address alone."""
    import mlflow

    variable = os.environ.get("MLFLOW_TRACKING_URI")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]
        if variable is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = variable


def _save(
    folder: Path,
    files: ServedFiles,
    model_id: str,
    run: str,
    location: str,
    tags: Mapping[str, str],
) -> None:
    """Write the model as MLflow reads it, with what it carries."""
    import pandas as pd
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    save_model(
        str(folder),
        loader_module=_LOADER,
        data_path=str(files.data),
        code_paths=[str(path) for path in sorted(files.code.iterdir())],
        mlflow_model=Model(
            artifact_path=location, run_id=run, model_uuid=model_id, model_id=model_id
        ),
        signature=_signature(files),
        input_example=(
            pd.DataFrame({HISTORY: [list(ids) for ids in files.example]}),
            {"k": DEFAULT_K},
        ),
        pip_requirements=list(files.requirements),
        metadata=dict(tags),
    )


def _signature(files: ServedFiles) -> "ModelSignature":
    """Return the schema: a list of ids in, a list of ids and one of scores out, and `k`."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    ids = Array(DataType.string if files.has_text_ids else DataType.long)
    return ModelSignature(
        inputs=Schema([ColSpec(ids, HISTORY)]),
        outputs=Schema([ColSpec(ids, ITEMS), ColSpec(Array(DataType.double), SCORES)]),
        params=ParamSchema([ParamSpec("k", DataType.long, DEFAULT_K)]),
    )
