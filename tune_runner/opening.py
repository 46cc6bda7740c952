"""Opens what a study runs with: its record in MLflow, its Optuna study, and Ray."""

import importlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_runner.execution import environment
from tune_runner.execution.cluster import start_ray
from tune_runner.execution.nodes import nodes_now
from tune_runner.monitoring.screen import Screen
from tune_runner.probe.gpu_share import resolve_resources
from tune_runner.resources.allocation import ClusterResources, TrialResources
from tune_runner.resources.prices import check_priced
from tune_runner.study import urls
from tune_runner.study.session import StudySession
from tune_runner.tracking.outbox import Outbox
from tune_runner.tracking.tracker import Tracker, open_tracker, open_writer
from tune_runner.tracking_uri import database_path

if TYPE_CHECKING:
    from tune_runner.search.study_store import StudyStore


@dataclass(frozen=True, slots=True)
class StartedParts:
    """Parts that a study runs with, once all of them answer."""

    store: "StudyStore"
    cluster: ClusterResources
    resources: TrialResources
    tracker: Tracker


def start_parts(
    session: StudySession,
    cluster: ClusterResources | None,
    screen: Screen,
    *,
    retry_failed: bool,
) -> StartedParts:
    """Open the record, the Optuna study and Ray, in an order that leaves little behind.

    Raises:
        UserError: one of them does not answer, or lacks trials that another one has.
    """
    screen.step("loading Ray, Optuna and MLflow")
    import_libraries()
    from tune_runner.search.open_store import open_study_store

    new = database_path(session.uri)
    note = " (a new database takes a while)" if new is not None and not new.exists() else ""
    screen.step(f"opening MLflow's record in {urls.without_password(session.uri)}{note}")
    writer = open_writer(session)
    with closing(Outbox(session.folder.outbox)) as outbox:
        recorded = outbox.recorded_trials()
    store = open_study_store(session, recorded.with_states(writer.trial_states()))
    if cluster is None:
        screen.step("starting Ray on this machine")
        cluster = start_ray(None, session.config.name)
    if (prices := session.config.budgets.prices) is not None:
        check_priced(prices, nodes_now())
    resources = resolve_resources(session, cluster)
    if retry_failed:
        screen.write(f"retry     {store.enqueue_failed()} failed trials are run again")
    tracker = open_tracker(session, cluster, writer)
    return StartedParts(store, cluster, resources, tracker)


def import_libraries() -> None:
    """Import all libraries in this thread, before any other thread starts.

    Two threads that import the same library at the same moment may deadlock.
    """
    environment.prepare()
    importlib.import_module("tune_runner.execution.tune_run")
    importlib.import_module("tune_runner.tracking.mlflow_writer")
