"""Background thread that records a study in MLflow; ours, since MLflow's loses unsent messages.

The study never waits for MLflow. Messages are written to the outbox (disk) first, then queued for
the thread, which retries while MLflow does not answer. What is unsent at the end is sent when the
study is resumed.
"""

import json
import queue
import shlex
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from diffrec.command_line import first_line, outside_fault
from diffrec.credentials import without_password
from diffrec.errors import UserError
from search_spaces import SearchSpace
from tune_runner import schema
from tune_runner.events import StudyCallback, TrialRecord, TrialReport, TrialResult
from tune_runner.resources.allocation import ClusterResources
from tune_runner.schema import COMMIT, StudyState
from tune_runner.study import config, provenance
from tune_runner.study.folder import to_json
from tune_runner.study.session import StudySession
from tune_runner.tracking import views
from tune_runner.tracking.dataset_input import describe_dataset
from tune_runner.tracking.outbox import Message, Outbox
from tune_runner.tracking_uri import database_path, path_beside

if TYPE_CHECKING:
    from tune_runner.tracking.mlflow_writer import MlflowWriter

_PATIENCE_SECONDS = 30.0
_RETRY_SECONDS = 2.0
_BATCH = 100
_GATHER_SECONDS = 3.0
"""How long messages are gathered. A request costs 40 ms of CPU, whatever the number of its metrics;
MLflow's pages look for new ones every half minute."""


_INHERITED = (
    schema.SPACE,
    schema.DATASET,
    schema.PROTOCOL,
    "mlflow.user",
    "mlflow.source.name",
    "mlflow.source.type",
    "mlflow.source.git.commit",
)
"""Tags of a study that its trials have, too."""


class Writer(Protocol):
    """Interface: applies messages to a tracking server, each of which may come twice."""

    def has_study(self) -> bool:
        """Return whether the server holds the study's run."""
        ...

    def apply(self, messages: list[Message]) -> None:
        """Send the messages, in order; raise if the server does not take them."""


class Tracker(StudyCallback):
    """Callback that records all it sees."""

    def __init__(self, outbox: Outbox, writer: Writer) -> None:
        self._outbox, self._writer = outbox, writer
        self._queue: queue.Queue[tuple[Message, int] | None] = queue.Queue()
        self._last_epochs: dict[int, int] = {}
        self._commit = ""
        self._of_each: Mapping[str, Any] = {}
        """Tags and dataset that every trial's run has from its study."""
        self._thread = threading.Thread(target=self._loop, name="mlflow-writer", daemon=True)
        self._stop = threading.Event()
        self._recorded = self._sent = 0
        """Messages since the start, and those of them that MLflow has taken."""
        self.problem: str | None = None
        """Why MLflow takes nothing at present; None if it does."""

    def start(self, study: Mapping[str, Any]) -> None:
        """Send the study, and before it what an earlier driver left unsent; start the thread.

        A server that does not know the study (its database was lost, or is another one) is sent all
        that was ever recorded.

        Raises:
            UserError: MLflow does not take it.
        """
        tags = study.get("tags", {})
        self._commit = tags.get(COMMIT, "")
        inherited = {key: tags[key] for key in _INHERITED if key in tags}
        self._of_each = {"tags": inherited, "dataset": study.get("dataset")}
        for message, _ in self._outbox.messages():
            if message["what"] == "metrics":
                last = max(map(int, message["epochs"]))
                self._last_epochs[message["trial"]] = max(
                    self._last_epochs.get(message["trial"], 0), last
                )
        try:
            begin = self._outbox.delivered() if self._writer.has_study() else 0
            self._outbox.append({"what": "study", "time": time.time(), **study})
            for batch in _batches(self._outbox.messages(begin)):
                self._send(batch)
        except Exception as error:
            self._outbox.close()
            if outside_fault(error) is None:
                raise
            raise UserError(
                f"MLflow does not accept the study's record ({first_line(error)}); correct that, "
                "or set MLFLOW_TRACKING_URI to another store."
            ) from error
        self._sent = 0
        self._thread.start()

    def on_trial_start(self, trial: TrialRecord) -> None:
        """Record a trial's start."""
        self._put(
            "start",
            trial=trial.number,
            name=schema.run_name(trial.number, trial.params, trial.seed),
            params={**trial.params, schema.SEED: trial.seed},
            config=dict(trial.config),
            variant=trial.variant,
            retry_of=trial.retry_of,
            role=trial.role,
            commit=self._commit,
            dataset=self._of_each["dataset"],
            tags={
                **self._of_each["tags"],
                schema.CELL: schema.cell_label(trial.params),
                schema.SEED: str(trial.seed),
            },
        )

    def on_trial_report(self, trial: TrialRecord, report: TrialReport) -> None:
        """Record the epochs that are new; a retry repeats known ones."""
        last_epoch = self._last_epochs.get(trial.number, 0)
        new_epochs = {
            epoch: dict(row) for epoch, row in report.epochs.items() if epoch > last_epoch
        }
        if new_epochs:
            self._last_epochs[trial.number] = max(new_epochs)
            self._put("metrics", trial=trial.number, epochs=new_epochs)

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Record a trial's end."""
        self._put(
            "end",
            trial=trial.number,
            state=end.state,
            epoch=end.epoch,
            metrics=dict(end.metrics),
            error=end.error,
            artifacts=dict(end.artifacts),
        )

    def note_spent(self, amounts: Mapping[str, float]) -> None:
        """Record what the study has spent until now, by the names of `schema`."""
        self._put("spent", metrics=dict(amounts))

    def close(self, state: StudyState, patience_seconds: float | None = None) -> int:
        """Record the study's end and wait for the last message; return how many are unsent.

        Args:
            state: of the study.
            patience_seconds: how long to wait while MLflow takes nothing; None: half a minute.
        """
        try:
            self._put("close", state=state)
        except OSError as error:  # a full disk; the next driver will write the end
            self.problem = str(error)
        self._queue.put(None)
        with suppress(KeyboardInterrupt):  # what is unsent is kept
            self._wait(_PATIENCE_SECONDS if patience_seconds is None else patience_seconds)
        self._stop.set()
        self._thread.join(1.0)
        if not self._thread.is_alive():
            self._outbox.close()
        return self._recorded - self._sent

    def _wait(self, patience_seconds: float) -> None:
        """Wait until the thread ends, or has sent nothing for a while."""
        sent, deadline = self._sent, time.monotonic() + patience_seconds
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(0.1)
            if self._sent != sent:
                sent, deadline = self._sent, time.monotonic() + patience_seconds

    def _put(self, kind: str, **content: Any) -> None:
        message = {"what": kind, "time": time.time(), **content}
        self._queue.put((message, self._outbox.append(message)))
        self._recorded += 1

    def _loop(self) -> None:
        closing = False
        while not closing and not self._stop.is_set():
            entries = [self._queue.get()]
            deadline = time.monotonic() + _GATHER_SECONDS
            while entries[-1] is not None and (wait := deadline - time.monotonic()) > 0:
                try:
                    entries.append(self._queue.get(timeout=wait))
                except queue.Empty:
                    break
            closing = entries[-1] is None
            for batch in _batches(entry for entry in entries if entry is not None):
                self._send_patiently(batch)

    def _send_patiently(self, batch: Sequence[tuple[Message, int]]) -> None:
        """Send until MLflow takes it, or the tracker is closed."""
        while not self._stop.is_set():
            try:
                self._send(batch)
            except Exception as error:  # noqa: BLE001 - the study continues whatever it is
                self.problem = first_line(error)
                self._stop.wait(_RETRY_SECONDS)
                continue
            return

    def _send(self, batch: Sequence[tuple[Message, int]]) -> None:
        self._writer.apply([message for message, _ in batch])
        self.problem = None
        self._sent += len(batch)
        try:
            self._outbox.mark_delivered(batch[-1][1])
        except OSError as error:  # a full disk; the next driver sends it again, without harm
            self.problem = str(error)


def _batches(
    entries: Iterable[tuple[Message, int]],
) -> Iterator[tuple[tuple[Message, int], ...]]:
    """Yield runs of entries, each short enough to show that MLflow takes something."""
    remaining = iter(entries)
    while batch := tuple(islice(remaining, _BATCH)):
        yield batch


def open_writer(session: StudySession) -> "MlflowWriter":
    """Return a writer whose store is proved to take the study.

    Raises:
        UserError: it does not.
    """
    from tune_runner.tracking.mlflow_writer import MlflowWriter

    try:
        return MlflowWriter(session.uri, session.config.name, session.folder.identity())
    except Exception as error:
        if isinstance(error, UserError) or outside_fault(error) is None:
            raise
        uri = without_password(session.uri)
        if "out-of-date database schema" in str(error):
            raise UserError(
                f"MLflow's database {uri} has the tables of another version, or only some of them; "
                f"keep a copy and run: mlflow db upgrade {shlex.quote(uri)}"
            ) from error
        raise UserError(
            f"MLflow cannot keep the study's record in {uri} ({first_line(error)}); correct that, "
            "or set MLFLOW_TRACKING_URI to another store."
        ) from error


def open_tracker(session: StudySession, cluster: ClusterResources, writer: Writer) -> Tracker:
    """Record the study's begin with `writer`; return the tracker that records the rest.

    Raises:
        UserError: MLflow does not take it.
    """
    tracker = Tracker(Outbox(session.folder.outbox), writer)
    commit = provenance.git_commit()
    space, dataset, plan = session.space, session.dataset, session.plan
    about = {
        schema.SPACE: space.name,
        schema.DATASET: dataset.name,
        schema.PROTOCOL: dataset.protocol,
        schema.SAMPLER: plan.sampler,
        schema.PRUNER: plan.pruner,
        schema.SEEDS: ", ".join(map(str, plan.seeds)),
    }
    tags = {
        schema.KIND: "study",
        schema.STUDY: session.config.name,
        schema.FOLDER: path_beside(database_path(session.uri), session.folder.path),
        schema.OBJECTIVE: space.objective.name,
        schema.DIRECTION: space.objective.direction,
        **_goal_tags(space),
        **about,
        "question": space.question,
        "dataset_sha256": dataset.sha256,
        "embeddings_source": dataset.embeddings_source,
        "root_seed": str(session.config.seed),
        "command": provenance.command(),
        schema.COMMIT: commit,
        "git_dirty": str(commit.endswith("-dirty")).lower(),
        schema.PRICE: session.config.price or "",
        schema.PRESET: plan.target.source,
        schema.PRESET_OF: plan.target.like or "",
        "preset_source": "; ".join(config.preset_sources(space, plan.target)),
        **provenance.mlflow_source(space.name),
    }
    artifacts = {
        schema.SPACE_FILE: space.to_dict() | {"plan": to_json(asdict(plan))},
        schema.ENVIRONMENT_FILE: provenance.environment(
            {"cpus": cluster.cpus, "gpus": cluster.gpus}
        ),
    }
    tracker.start(
        {
            "tags": tags,
            "params": about,
            "dataset": describe_dataset(dataset, session.config.data_dir),
            "views": _views(session),
            "artifacts": artifacts,
        }
    )
    return tracker


def _goal_tags(space: SearchSpace) -> dict[str, str]:
    tags = {}
    if space.objectives:
        tags[schema.OBJECTIVES] = json.dumps([one.to_dict() for one in space.objectives])
    if space.constraint is not None:
        tags[schema.CONSTRAINT] = space.constraint
    return tags


def _views(session: StudySession) -> dict[str, Any]:
    """Return the saved views of MLflow's page by key: the study's own, and that of all studies."""
    objective = session.space.objective
    own = views.study_views(
        session.config.name,
        session.folder.identity(),
        list(session.space.domains),
        objective.name,
        maximize=objective.direction == "maximize",
        seeds=len(session.plan.seeds),
    )
    return own | {views.STUDIES_KEY: views.studies_view(objective.name)}
