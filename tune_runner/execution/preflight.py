"""Checks of a cluster and its storage before a study is written anywhere."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from diffrec.errors import UserError
from tune_runner.checkpoints import locations
from tune_runner.checkpoints import store as checkpoint_store
from tune_runner.tracking_uri import database_path

_JOB_FOLDER = "working_dir_files"
"""Part of the path of a Ray job's working directory, which Ray deletes after the job."""


def check_store(url: str, study: str, *, new: bool) -> None:
    """Refuse an object store that cannot be written, or holds a study of that name already.

    Raises:
        UserError: it cannot be written, or holds checkpoints of such a study.
    """
    fault = checkpoint_store.write_error(url)
    if fault:
        raise UserError(
            f"Checkpoints cannot be kept at {url} ({fault}); correct it or give another."
        )
    if new and checkpoint_store.list_trials(locations.study_location(url, study)):
        raise UserError(
            f"There are checkpoints of another study {study!r} at {url}; choose another --name."
        )


def check_shared(folder: Path, store: str | None = None) -> None:
    """Refuse a checkpoint location that a node of the cluster cannot write.

    Args:
        folder: of the studies; only this machine needs it if there is a store.
        store: URL of an object store.

    Raises:
        UserError: a node cannot write there.
    """
    if store is not None:
        for node, fault in _ask_nodes(checkpoint_store.write_error, store):
            if fault:
                raise UserError(
                    f"Node {node} of the cluster cannot keep checkpoints at {store} ({fault}); "
                    "give it what the store needs, for example credentials."
                )
        return
    marker = folder.resolve() / f".seen-{uuid4().hex}"
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError as error:
        raise UserError(
            f"The studies' folder {folder} cannot be written ({error.strerror}); choose another "
            "--runs-dir."
        ) from None
    try:
        for node, fault in _ask_nodes(_folder_fault, str(marker)):
            if fault:
                raise UserError(
                    f"Node {node} of the cluster {fault} the studies' folder {folder.resolve()}, "
                    "where trials keep their checkpoints; give a --runs-dir that all nodes share, "
                    "or an object store as --checkpoints."
                )
    finally:
        marker.unlink(missing_ok=True)


def refuse_job_directory(runs_dir: Path, tracking_uri: str) -> None:
    """Refuse to keep a study in the working directory of a Ray job: Ray deletes it with the job.

    Raises:
        UserError: its folder, or its MLflow database, would lie there.
    """
    if _JOB_FOLDER in runs_dir.resolve().parts:
        raise UserError(
            "A Ray job's working directory is deleted after the job, and the study would lie in "
            f"it ({runs_dir}); give --runs-dir an absolute path that all nodes share."
        )
    database = database_path(tracking_uri)
    if database is not None and _JOB_FOLDER in database.parts:
        raise UserError(
            "A Ray job's working directory is deleted after the job, and MLflow's database would "
            "lie in it; set MLFLOW_TRACKING_URI, for example with --runtime-env-json of ray job "
            "submit."
        )


def _ask_nodes(check: Callable[[str], str], subject: str) -> list[tuple[str, str]]:
    """Run `check` on every node; return pairs (address, answer)."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    task = ray.remote(num_cpus=0)(check)
    calls = [
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(subject)
        for node in nodes
    ]
    answers = ray.get(calls)
    return [(node["NodeManagerAddress"], fault) for node, fault in zip(nodes, answers, strict=True)]


def _folder_fault(marker: str) -> str:
    """Return what is wrong on this node with the folder of the file `marker`; "" if nothing is."""
    path = Path(marker)
    if not path.exists():
        return "does not see"
    probe_file = path.with_name(f"{path.name}-{uuid4().hex}")
    try:
        probe_file.touch()
        probe_file.unlink()
    except OSError:
        return "cannot write into"
    return ""
