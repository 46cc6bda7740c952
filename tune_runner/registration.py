"""Brings a study's winner into service: a version in MLflow's registry, the champion if confirmed.

Importing this module imports no library: `tune_runner.register` is there at once.
"""

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.errors import UserError
from tune_runner import schema

if TYPE_CHECKING:
    from diffrec.data.idmaps import IdMap
    from diffrec.training.checkpoint import Checkpoint
    from tune_runner.tracking.model_registry import ModelRegistry, ServedFiles
    from tune_runner.tracking.study_files import StudyFiles
    from tune_runner.tracking.winner import Judgement, RecordedStudy, Run

_EXAMPLE = ((0, 1, 2), (3,))
"""Histories of the input example, by our numbers of items: nobody's own."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A version in MLflow's registry."""

    name: str
    version: str
    is_champion: bool
    """True if it now has the alias `champion`."""

    reason: str
    """Why it has the alias, or has not: one sentence."""

    study: str
    trial: int
    run_id: str
    """MLflow run of the trial."""

    @property
    def uri(self) -> str:
        """URI by which MLflow loads and serves it."""
        return f"models:/{self.name}/{self.version}"


def register(
    study: str, name: str, *, runs_dir: str = "runs", tracking_uri: str | None = None
) -> Registration:
    """Register the winner of a recorded study as a model that MLflow serves.

    The winner is the best trial by validation, whose checkpoint the study has kept. It becomes the
    champion only if fresh seeds (`--confirm`) show that it is better than the current champion or,
    if there is none, than the control.

    Args:
        study: name of the study.
        name: of the registered model; a new version if there is one.
        runs_dir: folder of the studies, to tell studies of one name apart.
        tracking_uri: of MLflow's store; None: `MLFLOW_TRACKING_URI`, or `mlflow.db` here.

    Raises:
        UserError: there is nothing to register, or MLflow does not take it; nothing was registered.
    """
    from tune_runner.study.folder import StudyFolder
    from tune_runner.study.names import check_model_name, check_name
    from tune_runner.tracking import run_lookup, study_files, winner
    from tune_runner.tracking_uri import check_readable, default_tracking_uri

    check_name(study)
    check_model_name(name)
    uri = tracking_uri or default_tracking_uri()
    check_readable(uri, "run this where the study ran, or set MLFLOW_TRACKING_URI")
    client = run_lookup.connect(uri)
    identity = StudyFolder(Path(runs_dir), study).identity()
    recorded = winner.read_recorded(client, run_lookup.find_study(client, study, identity))
    trials = winner.winning_trials(recorded)
    files = study_files.study_files(recorded.run, uri)
    trial, path = _kept(recorded, trials, files)
    from tune_runner.tracking.model_registry import ModelRegistry

    registry = ModelRegistry(client, uri, name)
    judgement = _judge(registry, recorded, trial)
    checkpoint, items = _load(recorded, files, path)
    tags = _tags(recorded, trial) | {schema.REGISTERED_BECAUSE: judgement.reason}
    description = f"Trial {winner.number_of(trial):04d} of study {study}. {judgement.reason}"
    with tempfile.TemporaryDirectory() as folder:
        served = _served_files(Path(folder).resolve(), checkpoint, items)
        version = registry.add_version(trial, served, tags, description)
    if judgement.is_better:
        registry.set_champion(version)
    return Registration(
        name,
        version,
        judgement.is_better,
        judgement.reason,
        study,
        winner.number_of(trial),
        trial.info.run_id,
    )


def registration_text(done: Registration) -> str:
    """Return what became of the winner, for people."""
    served = f"models:/{done.name}@{schema.CHAMPION}" if done.is_champion else done.uri
    return "\n".join(
        [
            f"registered {done.uri}: trial {done.trial:04d} of study {done.study}",
            f"champion   {'yes' if done.is_champion else 'no'}: {done.reason}",
            f"serve      mlflow models serve --env-manager local -m {shlex.quote(served)}",
        ]
    )


def check_can_register(name: str, tracking_uri: str | None = None) -> None:
    """Refuse what `register` would refuse at a study's end, before it begins.

    Raises:
        UserError: the name is not one, or the store has no registry that takes it.
    """
    from tune_runner.study.names import check_model_name
    from tune_runner.tracking_uri import check_readable, database_path, default_tracking_uri

    check_model_name(name)
    uri = tracking_uri or default_tracking_uri()
    path = database_path(uri)
    if path is not None and not path.exists():
        return  # the study will make it, with a registry
    check_readable(uri, "set MLFLOW_TRACKING_URI to a store that answers")
    from tune_runner.tracking import run_lookup
    from tune_runner.tracking.model_registry import ModelRegistry

    ModelRegistry(run_lookup.connect(uri), uri, name)


def _kept(study: "RecordedStudy", trials: "list[Run]", files: "StudyFiles") -> "tuple[Run, Path]":
    """Return the winning trial and its checkpoint; of several equals the one that was kept."""
    from tune_runner.tracking.winner import number_of

    for trial in trials:
        path = files.checkpoint(number_of(trial))
        if path is not None:
            return trial, path
    raise UserError(
        f"The checkpoint of trial {number_of(trials[0]):04d}, the best of study {study.name!r}, is "
        f"gone from {files.location}; put it back from a copy, or run the study again."
    )


def _judge(registry: "ModelRegistry", study: "RecordedStudy", trial: "Run") -> "Judgement":
    """Return whether the trial becomes the champion."""
    from tune_runner.tracking.winner import Judgement, judge_winner

    if registry.champion is None:
        return judge_winner(study, trial, None)
    found = registry.champions_trial()
    if found is None:
        return Judgement(
            False,
            f"The trial of the champion, version {registry.champion}, is not in this store, so "
            "nothing compares them.",
        )
    return judge_winner(study, trial, (registry.champion, *found))


def _load(study: "RecordedStudy", files: "StudyFiles", path: Path) -> "tuple[Checkpoint, IdMap]":
    """Return the trained model, and the ids of the items that it knows.

    Raises:
        UserError: the dataset is not here, or is not the one of the study.
    """
    from dataclasses import replace

    from diffrec.data import EMBEDDED_NAME, load_dataset
    from diffrec.data.idmaps import read_id_map
    from diffrec.data.sources import find_folder
    from diffrec.training.checkpoint import load_checkpoint
    from tune_runner.tracking.run_lookup import dataset_of

    checkpoint = load_checkpoint(path, trusted=True)
    recorded = dataset_of(study.run)
    name, protocol = recorded["name"], recorded["protocol"]
    dataset = load_dataset(name, files.data_dir, protocol)  # type: ignore[arg-type]
    if dataset.sha256 != recorded["sha256"]:
        raise UserError(
            f"Dataset {name!r} is not what study {study.name!r} was run on: its contents have "
            "changed, and with them perhaps the items' numbers; put the former files back."
        )
    folder = None if name == EMBEDDED_NAME else find_folder(name, files.data_dir)
    items = read_id_map("item", folder, dataset.num_items)
    return replace(checkpoint, dataset={**recorded, "num_items": dataset.num_items}), items


def _served_files(folder: Path, checkpoint: "Checkpoint", items: "IdMap") -> "ServedFiles":
    """Write what the model carries into `folder`, and try it there."""
    import numpy as np

    from diffrec.serving import save_served
    from tune_runner.packaging.carried_code import carry_code
    from tune_runner.packaging.requirements import find_requirements
    from tune_runner.tracking.model_registry import ServedFiles

    code = carry_code(checkpoint.config, folder / "code")
    save_served(folder / "data", checkpoint, items, code.outside)
    numbers = [np.array([n for n in row if n < items.size]) for row in _EXAMPLE]
    example = [items.originals(row).tolist() for row in numbers if len(row)]
    name = checkpoint.config.variant
    requirements = find_requirements(code, folder / "data", example, name)
    is_text = isinstance(example[0][0], str)
    return ServedFiles(code.folder, folder / "data", requirements, example, is_text)


def _tags(study: "RecordedStudy", trial: "Run") -> dict[str, str]:
    """Return the tags of a registered version."""
    from tune_runner.tracking.dataset_input import digest_of

    tags, own = study.run.data.tags, trial.data.tags
    score = trial.data.metrics[study.score_key]
    return {
        schema.STUDY: study.name,
        schema.STUDY_ID: tags.get(schema.STUDY_ID, ""),
        schema.TRIAL_NUMBER: own[schema.TRIAL_NUMBER],
        schema.VARIANT: own.get(schema.VARIANT, ""),
        schema.SEED: trial.data.params.get(schema.SEED, ""),
        schema.DATASET: tags["dataset"],
        schema.PROTOCOL: tags[schema.PROTOCOL],
        "dataset_sha256": tags["dataset_sha256"],
        "dataset_digest": digest_of(tags["dataset_sha256"]),
        schema.COMMIT: own.get(schema.COMMIT, ""),
        schema.mlflow_name(study.objective.name): f"{score:.6f}",
    }
