"""One study, from the settings to the exit code: here everything is put together."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from diffrec.data import load_dataset
from diffrec.errors import UserError
from search_spaces import get_space
from tune_runner import schema
from tune_runner.execution import environment
from tune_runner.execution.cluster import start_ray
from tune_runner.execution.preflight import check_shared, check_store, refuse_job_directory
from tune_runner.monitoring import messages
from tune_runner.probe.fusion import MeasureSpeedup, resolve_fusion
from tune_runner.probe.gpu_share import check_gpu_share, resolve_auto
from tune_runner.resources.allocation import (
    ClusterResources,
    TrialResources,
    allocate,
    local_cluster,
)
from tune_runner.search import storage
from tune_runner.study import urls
from tune_runner.study.config import StudyConfig, StudyPlan, make_plan
from tune_runner.study.folder import StudyFolder
from tune_runner.study.session import StudySession, check_unchanged, describe_study
from tune_runner.tracking.tracker import Tracker, open_tracker
from tune_runner.trials.retries import classify_failure

if TYPE_CHECKING:
    from tune_runner.search.study_store import StudyStore
    from tune_runner.worker.backend import TrainingBackend

INTERRUPTED = 130
"""Exit code of a study that was stopped and can go on."""


def run_study(
    config: StudyConfig,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    backend: "TrainingBackend | None" = None,
    measure: MeasureSpeedup | None = None,
) -> int:
    """Run a study, new or known, and return the exit code of the command.

    Args:
        config: what to study.
        resume: go on with a study that exists; otherwise there must be none of that name.
        retry_failed: run what had failed before once more.
        backend: builds the runs; the real one if left out.
        measure: measures what fusing gains; `measure_fusion_speedup` if left out.

    Raises:
        UserError: something about the request is wrong; nothing was started.
    """
    space = get_space(config.space)
    plan = make_plan(config, space)
    data_dir = None if config.data_dir is None else Path(config.data_dir)
    dataset = load_dataset(config.dataset, data_dir, config.protocol)  # type: ignore[arg-type]
    folder, uri = StudyFolder(Path(config.runs_dir), config.name), schema.default_tracking_uri()
    session = StudySession(config, space, plan, dataset, folder, uri, config.request)
    description = describe_study(session)
    if resume or folder.exists():
        check_unchanged(folder, description, resume=resume)
    cluster = _check_means(config, plan, new=not resume)
    request, note = resolve_fusion(config, space, plan, dataset, cluster, measure)
    session = replace(session, request=request)
    with folder, _sentence_for_full_disk(folder.path):
        if config.storage is not None:
            storage.register_study(
                config.storage, config.name, space.objective.direction, new=not resume
            )
        folder.begin()
        folder.write(description)
        _say("\n".join(filter(None, [messages.start_message(config, space, plan, dataset), note])))
        return _conduct(session, backend, cluster, retry_failed=retry_failed)


@contextmanager
def _sentence_for_full_disk(path: Path) -> Iterator[None]:
    """Say it plainly before the first trial; later the controller does."""
    try:
        yield
    except OSError as error:
        if classify_failure(error) != "disk_full":
            raise
        raise UserError(
            f"The disk of {path} is full; free some space and give the command again."
        ) from None


def _check_means(config: StudyConfig, plan: StudyPlan, *, new: bool) -> ClusterResources | None:
    """Refuse what cannot be placed before anything is written; a cluster has to be asked."""
    if config.checkpoints is not None:
        check_store(config.checkpoints, config.name, new=new)
    if config.address is None:
        here = local_cluster()
        allocate(config.request, here, trials=plan.trials)
        check_gpu_share(config.request, here, joined=False)
        return None
    environment.prepare()
    refuse_job_directory(Path(config.runs_dir), schema.default_tracking_uri())
    cluster = start_ray(config.address)
    check_shared(Path(config.runs_dir), config.checkpoints)
    allocate(config.request, cluster, trials=plan.trials)
    check_gpu_share(config.request, cluster, joined=True)
    return cluster


def _conduct(
    session: StudySession,
    backend: "TrainingBackend | None",
    cluster: ClusterResources | None,
    *,
    retry_failed: bool,
) -> int:
    """Start the engines, run the trials, close the books."""
    environment.prepare()
    # The engines are imported before the tracker's thread starts to import MLflow: two threads that
    # import the same libraries at once may meet half-made modules.
    from tune_runner.execution import tune_run
    from tune_runner.search.study_store import open_study_store

    store = open_study_store(session)
    if retry_failed:
        _say(f"retry     {store.enqueue_failed()} failed trials are run once more")
    cluster = cluster or start_ray(None)
    tracker = open_tracker(session, cluster)
    state: schema.StudyState = "interrupted"
    stop_reason = None
    try:
        resources = allocate(resolve_auto(session, cluster), cluster, trials=session.plan.trials)
        _say(messages.format_links(_links(session, resources, cluster.dashboard)))
        stop_reason = _run(session, store, tracker, resources, cluster, backend, tune_run)
        state = "complete" if store.finished() else "interrupted"
    finally:
        unsent = tracker.close(state)
    return _close(session, store, state, unsent, stop_reason)


def _run(
    session: StudySession,
    store: "StudyStore",
    tracker: Tracker,
    resources: TrialResources,
    cluster: ClusterResources,
    backend: "TrainingBackend | None",
    tune_run: Any,
) -> str | None:
    """Run the search, then the confirmation where one is asked for; return why it was stopped."""
    from tune_runner.checkpoints.retention import CheckpointRetention
    from tune_runner.execution.gauges import Gauges
    from tune_runner.monitoring.progress import Progress
    from tune_runner.trials.controller import StudyController

    config, space, plan, folder = session.config, session.space, session.plan, session.folder
    checkpoints = config.checkpoints_of(folder.checkpoints)
    objective, best = space.objective.name, store.best()
    at_once = resources.max_concurrent * resources.fuse
    progress = Progress(objective, maximize=session.maximize, concurrent=at_once)
    views = (progress, Gauges(config.name, objective, maximize=session.maximize))
    keeper = CheckpointRetention(checkpoints, maximize=session.maximize, best=best)
    keeper.remove_stale(store.closed_trials())
    controller = StudyController(
        store,
        lambda params, seed: space.resolve(
            params, config.dataset, seed=seed, overrides=plan.overrides
        ),
        objective=objective,
        checkpoints=checkpoints,
        recorder=tracker,
        callbacks=(*views, keeper),
        resources=resources,
        max_resources=TrialResources(cluster.node_cpus, cluster.node_gpus),
        limits=config.limits,
    )
    known = None if best is None else (best[1], f"{best[0]:04d}")
    for view in views:
        view.start(store.num_planned(), store.counts(), known)

    def tick() -> None:
        for view in views:
            view.tick()

    def run() -> None:
        data, files = session.dataset, folder.ray
        tune_run.run_trials(controller, data, resources, folder=files, backend=backend, tick=tick)

    try:
        run()
        if config.confirm and store.finished() and store.enqueue_confirmation(config.confirm):
            for view in views:
                view.plan(store.num_planned())
            run()
    finally:
        progress.stop()
    return controller.end_reason


def _close(
    session: StudySession,
    store: "StudyStore",
    state: schema.StudyState,
    unsent: int,
    stop_reason: str | None,
) -> int:
    """Say how it ended; return the exit code."""
    config, failures = session.config, store.failures()
    if not failures:
        shutil.rmtree(session.folder.ray, ignore_errors=True)  # Tune's own; never read again
    if store.counts()["complete"] and not unsent:
        _table(session)
    _say(
        messages.end_message(
            pruned_epochs=store.pruned_epochs(),
            failures=failures,
            unsent=unsent,
            links=_end_links(session),
        )
    )
    if state == "interrupted":
        why = "Interrupted" if stop_reason is None else f"Stopped: {stop_reason}"
        _say(f"{why}; go on with: {resume_command(config)}")
        return INTERRUPTED if stop_reason is None else 0 if "budget" in stop_reason else 1
    return 0 if store.counts()["complete"] else 1


def resume_command(config: StudyConfig) -> str:
    """Return the command that goes on with a study."""
    runs = "" if config.runs_dir == "runs" else f" --runs-dir {config.runs_dir}"
    return f"python -m tune_runner --resume {config.name}{runs}"


def _links(
    session: StudySession, resources: TrialResources, dashboard: str | None
) -> dict[str, str]:
    links = {"place": resources.describe(), "Ray": dashboard or "", **_end_links(session)}
    return links | {"stop": "Ctrl-C; the study can go on afterwards"}


def _end_links(session: StudySession) -> dict[str, str]:
    return {"MLflow": _mlflow_hint(session.uri), "files": str(session.folder.path)}


def _mlflow_hint(uri: str) -> str:
    uri = urls.without_password(uri)
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"


def _table(session: StudySession) -> None:
    """Let `analysis` print and save the study's table; it is a room of its own, so a process."""
    if find_spec("analysis") is None or find_spec("analysis.__main__") is None:
        return
    sys.stdout.flush()
    config = session.config
    piped = not _is_file(sys.stdout)
    done = subprocess.run(
        [sys.executable, "-m", "analysis", config.name, "--runs-dir", config.runs_dir],
        env={**os.environ, "MLFLOW_TRACKING_URI": session.uri},
        stdout=subprocess.PIPE if piped else None,
        text=True,
        check=False,
    )
    if piped:
        sys.stdout.write(done.stdout)


def _is_file(stream: IO[str]) -> bool:
    """Say whether a process of our own could write to it, too."""
    try:
        stream.fileno()
    except OSError:  # io.UnsupportedOperation is one
        return False
    return True


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
