"""Tells MLflow about a study from one background thread; the study never waits for it.

Messages go to the outbox first (disk), then to the thread. While MLflow is away the thread tries
again, and the study goes on; what is left at the end is sent when the study is taken up again.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from tune_runner import schema
from tune_runner.events import StudyCallback, TrialRecord, TrialReport, TrialResult
from tune_runner.resources.allocation import ClusterResources
from tune_runner.schema import COMMIT, StudyState
from tune_runner.study import config, provenance
from tune_runner.study.folder import to_json
from tune_runner.study.session import StudySession
from tune_runner.tracking.outbox import Message, Outbox

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 30.0
_GATHER_SECONDS = 0.5
"""How long messages are gathered, so that many metrics make one request."""


class Writer(Protocol):
    """Applies messages to a tracking server; each may come twice."""

    def apply(self, messages: list[Message]) -> None:
        """Send the messages, in order; raise if the server does not take them."""


class Tracker(StudyCallback):
    """An observer of the study that writes down all it sees."""

    def __init__(self, outbox: Outbox, make_writer: Callable[[], Writer]) -> None:
        self._outbox, self._make_writer = outbox, make_writer
        self._queue: queue.Queue[tuple[Message, int] | None] = queue.Queue()
        self._known: dict[int, int] = {}
        self._commit = ""
        self._thread = threading.Thread(target=self._loop, name="mlflow-writer", daemon=True)
        self._stop = threading.Event()
        self.problem: str | None = None

    def start(self, study: Mapping[str, Any]) -> None:
        """Begin, with what an earlier driver left unsent."""
        self._commit = study.get("tags", {}).get(COMMIT, "")
        for message, _ in self._outbox.messages():
            if message["what"] == "metrics":
                last = max(map(int, message["epochs"]))
                self._known[message["trial"]] = max(self._known.get(message["trial"], 0), last)
        for entry in self._outbox.messages(self._outbox.delivered()):
            self._queue.put(entry)
        self._put("study", **study)
        self._thread.start()

    def on_trial_start(self, trial: TrialRecord) -> None:
        """Write down a trial's start."""
        self._put(
            "start",
            trial=trial.number,
            name=trial.name,
            params={**trial.params, schema.SEED: trial.seed},
            config=dict(trial.config),
            variant=trial.variant,
            retry_of=trial.retry_of,
            role=trial.role,
            commit=self._commit,
        )

    def on_trial_report(self, trial: TrialRecord, report: TrialReport) -> None:
        """Write down the epochs that are news: a retry repeats what is known."""
        known = self._known.get(trial.number, 0)
        news = {epoch: dict(row) for epoch, row in report.epochs.items() if epoch > known}
        if news:
            self._known[trial.number] = max(news)
            self._put("metrics", trial=trial.number, epochs=news)

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Write down a trial's end."""
        self._put(
            "end",
            trial=trial.number,
            state=end.state,
            epoch=end.epoch,
            metrics=dict(end.metrics),
            error=end.error,
            artifacts=dict(end.artifacts),
        )

    def close(self, state: StudyState, patience_seconds: float = _PATIENCE_SECONDS) -> int:
        """Write down the study's end and wait for the last message; return how many are unsent."""
        try:
            self._put("close", state=state)
        except OSError as error:  # a full disk; the next driver will write the end
            self.problem = str(error)
        self._queue.put(None)
        self._thread.join(patience_seconds)
        self._stop.set()
        self._thread.join(1.0)
        unsent = sum(1 for _ in self._outbox.messages(self._outbox.delivered()))
        if not self._thread.is_alive():
            self._outbox.close()
        return unsent

    def _put(self, what: str, **content: Any) -> None:
        message = {"what": what, "time": time.time(), **content}
        self._queue.put((message, self._outbox.append(message)))

    def _loop(self) -> None:
        writer: Writer | None = None
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
            batch = [entry for entry in entries if entry is not None]
            if not batch:
                continue
            while not self._stop.is_set():
                try:
                    writer = writer or self._make_writer()
                    writer.apply([message for message, _ in batch])
                except Exception as error:  # noqa: BLE001 - whatever it is, the study goes on
                    self.problem = str(error).splitlines()[0] if str(error) else repr(error)
                    logger.debug("MLflow does not answer: %s", self.problem)
                    self._stop.wait(2.0)
                    continue
                self.problem = None
                self._mark_delivered(batch[-1][1])
                break

    def _mark_delivered(self, end: int) -> None:
        try:
            self._outbox.mark_delivered(end)
        except OSError as error:  # a full disk; the next driver sends it again, without harm
            self.problem = str(error)


def open_tracker(session: StudySession, cluster: ClusterResources) -> Tracker:
    """Begin to tell MLflow; the connection is made in the tracker's own thread."""
    name, uri, identity = session.config.name, session.uri, session.folder.identity()

    def connect() -> Any:
        from tune_runner.tracking.mlflow_writer import MlflowWriter

        return MlflowWriter(uri, name, identity)

    tracker = Tracker(Outbox(session.folder.outbox), connect)
    commit = provenance.git_commit()
    space, dataset, plan = session.space, session.dataset, session.plan
    tags = {
        schema.KIND: "study",
        schema.STUDY: name,
        schema.SPACE: space.name,
        schema.FOLDER: str(session.folder.path),
        schema.OBJECTIVE: space.objective.name,
        schema.DIRECTION: space.objective.direction,
        "question": space.question,
        "dataset": dataset.name,
        "dataset_sha256": dataset.sha256,
        "protocol": dataset.protocol,
        "embeddings_source": dataset.embeddings_source,
        "sampler": plan.sampler,
        "pruner": plan.pruner,
        "root_seed": str(session.config.seed),
        "command": provenance.command(),
        schema.COMMIT: commit,
        "git_dirty": str(commit.endswith("-dirty")).lower(),
        "preset_source": "; ".join(config.preset_sources(space, dataset.name)),
    }
    artifacts = {
        schema.SPACE_FILE: space.to_dict() | {"plan": to_json(asdict(plan))},
        schema.ENVIRONMENT_FILE: provenance.environment(
            {"cpus": cluster.cpus, "gpus": cluster.gpus}
        ),
    }
    tracker.start({"tags": tags, "artifacts": artifacts})
    return tracker
