"""Runs one study, from its settings to the exit code; all parts are wired here."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.data import load_dataset, with_embeddings
from diffrec.files import refusing_full_disk
from tune_runner import exit_codes, schema
from tune_runner.execution import environment
from tune_runner.execution.cluster import start_ray
from tune_runner.execution.preflight import check_shared, check_store, refuse_job_directory
from tune_runner.monitoring import messages
from tune_runner.monitoring.messages import Unsent
from tune_runner.monitoring.progress import Progress, workers_phrase
from tune_runner.monitoring.pruning_watch import PruningWatch
from tune_runner.monitoring.report import print_report, read_answer
from tune_runner.monitoring.screen import Screen
from tune_runner.opening import StartedParts, start_parts
from tune_runner.probe.fusion import MeasureSpeedup, resolve_fusion
from tune_runner.probe.gpu_share import check_gpu_share
from tune_runner.resources.allocation import ClusterResources, check_fits, local_cluster
from tune_runner.resources.spending import spent_from_json
from tune_runner.search import storage
from tune_runner.study.budgets import describe_spent
from tune_runner.study.config import StudyConfig, make_plan
from tune_runner.study.folder import SPENT, StudyFolder
from tune_runner.study.request import check_folder
from tune_runner.study.session import StudySession, check_unchanged, describe_study
from tune_runner.study.spaces import study_space
from tune_runner.tracking_uri import check_tracking_uri, default_tracking_uri

if TYPE_CHECKING:
    from tune_runner.search.study_store import StudyStore
    from tune_runner.worker.backend import TrainingBackend


def run_study(
    config: StudyConfig,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    backend: "TrainingBackend | None" = None,
    measure: MeasureSpeedup | None = None,
    on_start: Callable[[StudyFolder], None] = lambda folder: None,
) -> int:
    """Run a new study or resume one; return the exit code of the command.

    Args:
        config: what to study.
        resume: resume a study that exists; otherwise there must be none of that name.
        retry_failed: run failed trials again.
        backend: builds the runs; None: `TrainingBackend`.
        measure: measures the speed-up of fused trials; None: `measure_fusion_speedup`.
        on_start: called once nothing is refused any more, before the first trial.

    Raises:
        UserError: something about the request is wrong; nothing was started.
    """
    space = study_space(config.space)
    plan = make_plan(config, space)
    check_folder(config)
    data_dir = None if config.data_dir is None else Path(config.data_dir)
    dataset = load_dataset(config.dataset, data_dir, config.protocol)  # type: ignore[arg-type]
    plan = plan.for_dataset(dataset, space)
    if plan.needs_embeddings(space):
        dataset = with_embeddings(dataset)
    folder, uri = StudyFolder(Path(config.runs_dir), config.name), default_tracking_uri()
    check_tracking_uri(uri)
    session = StudySession(config, space, plan, dataset, folder, uri, config.request)
    description = describe_study(session)
    if resume or folder.exists():
        check_unchanged(folder, description, resume=resume)
    cluster = _check_resources(config, new=not resume)
    request, note = resolve_fusion(config, space, plan, dataset, cluster, measure)
    session = replace(session, request=request)
    with folder, refusing_full_disk(folder.path), Screen() as screen:
        screen.write(messages.start_message(config, space, plan, dataset, note))
        try:
            if config.storage is not None and not resume:
                storage.check_name_is_free(config.storage, config.name)
            folder.begin()
            folder.write(description)
            started = start_parts(session, cluster, screen, retry_failed=retry_failed)
        except BaseException:
            if not resume:  # nothing was run, so nothing is left behind
                folder.discard()
            raise
        on_start(folder)
        try:
            return _run_and_close(session, started, screen, backend)
        except KeyboardInterrupt:  # the second one, or one after the trials
            screen.write(f"Interrupted at once; resume with: {folder.resume_command}")
            return exit_codes.INTERRUPTED


def _check_resources(config: StudyConfig, *, new: bool) -> ClusterResources | None:
    """Refuse resources that the machine or cluster lacks, before anything is written.

    Returns:
        The cluster that was joined; None for this machine, on which Ray is not started yet.
    """
    if config.checkpoints is not None:
        check_store(config.checkpoints, config.name, new=new)
    if config.address is None:
        cluster = local_cluster()
    else:
        environment.prepare()
        refuse_job_directory(Path(config.runs_dir), default_tracking_uri())
        cluster = start_ray(config.address, config.name)
        check_shared(Path(config.runs_dir), config.checkpoints)
    joined = config.address is not None
    check_fits(config.request, cluster)
    check_gpu_share(config.request, cluster, joined=joined)
    return cluster if joined else None


_CLOSE_SECONDS = 10.0
"""Time that MLflow has to take the rest of the record once Ray is lost."""

_AT_ONCE_SECONDS = 1.0
"""The same once Ctrl-C was given twice."""


def _run_and_close(
    session: StudySession, started: StartedParts, screen: Screen, backend: "TrainingBackend | None"
) -> int:
    """Run the trials and close the record; return the exit code."""
    from tune_runner.execution.cluster_watch import ClusterWatch

    store, tracker = started.store, started.tracker
    state: schema.StudyState = "interrupted"
    stop_reason = patience = None

    def on_lost(process: str) -> None:
        # Ray's calls would wait for a minute, and then abort the process without a message.
        tracker.close("interrupted", patience_seconds=_CLOSE_SECONDS)
        watch.end_ray()  # first: what its processes still say comes before the sentence
        screen.complain(
            f"{process} has ended, and the study with it; what finished is kept. Resume with: "
            f"{session.folder.resume_command}"
        )
        os._exit(exit_codes.FAILED)

    watch = ClusterWatch(on_lost)
    try:
        links = messages.start_links(started.resources, started.cluster.dashboard)
        screen.write_links(links | messages.end_links(session.uri, session.folder.path))
        screen.write("stop      Ctrl-C; the study can be resumed afterwards")
        workers = min(started.resources.max_concurrent, max(1, store.num_remaining()))
        screen.step(f"{workers_phrase(workers)} loading torch")
        with watch:
            stop_reason = _run(session, started, screen, backend)
        if not session.folder.is_gone():
            state = "complete" if store.finished() else "interrupted"
    except Exception:
        if not session.folder.is_gone():
            raise
    except KeyboardInterrupt:
        patience = _AT_ONCE_SECONDS
        raise
    finally:
        unsent = tracker.close(state, patience)
    if session.folder.is_gone():
        session.folder.clear_remains()
        screen.complain(
            f"The study's folder {session.folder.path} was removed while the study ran, and with "
            "it all that --resume needs; start again with another --name."
        )
        return exit_codes.FAILED
    return _close(session, store, screen, state, Unsent(unsent, tracker.problem), stop_reason)


def _run(
    session: StudySession, started: StartedParts, screen: Screen, backend: "TrainingBackend | None"
) -> str | None:
    """Run the search, then the confirmation if requested; return why it was stopped."""
    from tune_runner.checkpoints.retention import CheckpointRetention
    from tune_runner.execution import tune_run
    from tune_runner.execution.elastic import ElasticCluster
    from tune_runner.execution.gauges import Gauges
    from tune_runner.execution.nodes import NodeLookup
    from tune_runner.trials.controller import StudyController
    from tune_runner.trials.spending import watch_spending

    store, tracker, resources = started.store, started.tracker, started.resources
    config, space, plan, folder = session.config, session.space, session.plan, session.folder
    checkpoints = config.checkpoints_of(folder.checkpoints)
    objective, best = space.objective, store.leader()
    nodes, elastic = NodeLookup(), None
    spending = watch_spending(session, tracker, resources)
    if config.address is not None:
        limit, learns = config.request.max_concurrent, plan.learns
        elastic = ElasticCluster(
            resources, nodes, limit=limit, learns=learns, grows=started.cluster.grows
        )
    at_once = resources.max_concurrent * resources.fuse
    is_plain, durations = store.goals.is_plain, store.durations()
    answer = None if is_plain else store.answer_text
    progress = Progress(objective, screen, concurrent=at_once, durations=durations, answer=answer)
    gauges = Gauges(config.name, objective, concurrent=at_once, durations=durations)
    views = (progress, gauges)
    retention = CheckpointRetention(checkpoints, store.kept)
    retention.remove_stale(store.closed_trials())
    controller = StudyController(
        store,
        lambda params, seed: space.resolve(
            params, plan.target, seed=seed, overrides=plan.overrides
        ),
        objective=objective.name,
        checkpoints=checkpoints,
        recorder=tracker,
        callbacks=(
            *views,
            retention,
            spending,
            PruningWatch(store.pruning_sentence, progress.note),
        ),
        resources=resources,
        max_resources=started.cluster.largest_node(resources),
        limits=config.limits,
    )
    reported_problems: set[str] = set()
    for view in views:
        view.start(store.num_planned(), store.counts(), best)

    def tick() -> None:
        if folder.is_gone():
            controller.stop(f"{folder.path} was removed")
        spending.tick(controller, nodes())
        progress.tick(controller.num_loading)
        gauges.tick()
        if tracker.problem not in (None, *reported_problems):
            reported_problems.add(tracker.problem)
            progress.note(messages.mlflow_unavailable(tracker.problem))

    def run() -> None:
        tune_run.run_trials(
            controller,
            session.dataset,
            resources,
            folder=folder.ray,
            elastic=elastic,
            backend=backend,
            tick=tick,
            on_stop=progress.on_stop_request,
        )

    try:
        run()
        if config.confirm and store.finished() and store.enqueue_confirmation(config.confirm):
            for view in views:
                view.plan(store.num_planned())
            run()
    finally:
        spending.close()
        progress.stop()
    return controller.end_reason


def _close(
    session: StudySession,
    store: "StudyStore",
    screen: Screen,
    state: schema.StudyState,
    unsent: Unsent,
    stop_reason: str | None,
) -> int:
    """Print how the study ended; return the exit code."""
    failures, resume = store.failures(), session.folder.resume_command
    if not failures:
        shutil.rmtree(session.folder.ray, ignore_errors=True)  # Tune's own; never read again
    screen.close()  # the report is written by a process of its own
    if store.counts()["complete"] and not unsent.messages:
        _print_report(session)
        store.note_answer(read_answer(session.folder.path))
    if session.config.budgets.are_given:
        spent = spent_from_json(session.folder.read().get(SPENT))
        screen.write(f"spent     {describe_spent(spent)}")
    for line in messages.end_message(store.pruned_epochs(), failures):
        screen.write(line)
    if sentence := store.pruning_sentence():
        screen.write(f"pruning   {sentence}")
    screen.write_links(messages.end_links(session.uri, session.folder.path))
    if unsent.messages:
        screen.write(messages.unsent(unsent, resume))
    if state == "interrupted":
        reason = "Interrupted" if stop_reason is None else f"Stopped: {stop_reason}"
        screen.write(f"{reason}; resume with: {resume}")
        if stop_reason is None:
            return exit_codes.INTERRUPTED
        if "budget" not in stop_reason:
            return exit_codes.FAILED
    elif not store.counts()["complete"]:
        return exit_codes.FAILED
    return exit_codes.RECORD_INCOMPLETE if unsent.messages else exit_codes.COMPLETE


def _print_report(session: StudySession) -> None:
    """Print and save the study's table."""
    print_report(Screen(), session.config.name, session.config.runs_dir, session.uri)
