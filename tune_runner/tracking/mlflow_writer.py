"""Idempotent writer to MLflow; ours, since MLflow's client would create a run twice on a retry.

Runs are found again by their tags, so a resumed study writes into the same runs; epochs that a
run already has are skipped.
"""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag, ViewType

from tune_runner import schema
from tune_runner.tracking.database import active_experiment, open_store
from tune_runner.tracking.dataset_input import log_dataset
from tune_runner.tracking.outbox import Message
from tune_runner.tracking.summary_writer import SummaryWriter
from tune_runner.tracking.views import save_views

_BATCH = 1000
"""Metrics in one request: MLflow's limit."""

_TAG_LENGTH = 4000
_SESSIONS = 100
"""Drivers' sessions that the tag can hold, at 28 characters each."""

_SET_ONCE = ("command", "mlflow.user", "mlflow.source.git.commit", "mlflow.source.git.branch")
"""Tags that `--resume` leaves as they are: they say how to reproduce the study."""


class MlflowWriter:
    """Writer of one study: a parent run, and a child run for each trial."""

    def __init__(self, uri: str, study: str, identity: str) -> None:
        """Connect, and check that the store can be written.

        Args:
            uri: of the tracking server or database.
            study: its name.
            identity: tells it from others of that name; filters use it alone, since MLflow has no
                way to quote a name with quotes in it.
        """
        self._study, self._identity = study, identity
        self._client = open_store(uri)
        self._experiment = active_experiment(self._client, uri)
        self._parent = ""
        self._runs: dict[int, str] = {}
        self._epochs: dict[int, int] = {}
        self._pending: dict[int, list[Metric]] = {}
        self._summaries = SummaryWriter(self._client, self._experiment, self._search)
        self._handlers = {
            "study": self._begin_study,
            "start": self._start,
            "metrics": self._metrics,
            "end": self._end,
            "spent": self._spent,
            "close": self._close,
        }

    @property
    def experiment(self) -> str:
        """Id of the experiment that holds the runs."""
        return self._experiment

    def has_study(self) -> bool:
        """Return whether the store holds the study's run."""
        self._parent = self._parent or self._find("study")
        return bool(self._parent)

    def trial_states(self) -> dict[int, str]:
        """Return the state of each trial that the store holds, by number."""
        return {
            int(run.data.tags[schema.TRIAL_NUMBER]): run.data.tags[schema.STATE]
            for run in self._search("trial")
        }

    def apply(self, messages: list[Message]) -> None:
        """Send the messages in order, metrics of one trial together."""
        self._pending.clear()  # of an attempt that failed: its messages come again
        self.has_study()
        for message in messages:
            self._handlers[message["what"]](message)
        for trial in list(self._pending):
            self._flush(trial)
        self._summaries.flush(self._parent)

    def _begin_study(self, message: Message) -> None:
        tags = {
            **message["tags"],
            schema.STATE: "running",
            schema.STUDY_ID: self._identity,
        }
        if not self._parent:
            run = self._client.create_run(
                self._experiment, _millis(message), run_name=self._study, tags=_cut(tags)
            )
            self._parent = run.info.run_id
        else:
            self._client.update_run(self._parent, status="RUNNING")
            old_tags = self._client.get_run(self._parent).data.tags
            tags |= _commits(old_tags, message["tags"].get(schema.COMMIT, ""))
            self._tag(self._parent, tags | {k: old_tags[k] for k in _SET_ONCE if k in old_tags})
        self._note_session(message["time"])
        self._summaries.forget_study()
        self._log_new_params(self._parent, message.get("params", {}))
        log_dataset(self._client, self._parent, message.get("dataset"))
        save_views(self._client, self._experiment, message.get("views", {}), _millis(message))
        for name, content in message["artifacts"].items():
            text = json.dumps(content, indent=2) + "\n"
            if name == schema.ENVIRONMENT_FILE:
                name = self._next_environment(text)
            self._client.log_text(self._parent, text, name)

    def _log_new_params(self, run: str, params: Mapping[str, Any]) -> None:
        """Record a study's parameters; MLflow refuses another value of one that it has."""
        known = self._client.get_run(run).data.params if params else {}
        new = [Param(key, _text(value)) for key, value in params.items() if key not in known]
        if new:
            self._client.log_batch(run, params=new)

    def _note_session(self, start: float | None, end: float | None = None) -> None:
        """Begin a driver's session, or end the last one; idempotent.

        Times are whole seconds. Beyond `_SESSIONS` entries the two oldest are merged: a tag's
        length is limited.
        """
        recorded = self._client.get_run(self._parent).data.tags.get(schema.SESSIONS, "[]")
        sessions = json.loads(recorded)
        if start is not None and math.floor(start) not in [first for first, _ in sessions]:
            sessions.append([math.floor(start), None])
        if end is not None and sessions:
            sessions[-1][1] = math.ceil(end)
        if len(sessions) > _SESSIONS:
            sessions[:2] = [[sessions[0][0], sessions[1][1]]]
        self._tag(self._parent, {schema.SESSIONS: json.dumps(sessions)})

    def _next_environment(self, text: str) -> str:
        """Return the file name for an environment: a new one unless the last file is equal."""
        stem, suffix = schema.ENVIRONMENT_FILE.split(".")
        existing = {file.path for file in self._client.list_artifacts(self._parent)}
        names = [schema.ENVIRONMENT_FILE]
        while names[-1] in existing:
            names.append(f"{stem}_{len(names) + 1}.{suffix}")
        recorded = names[:-1]
        if recorded:
            with tempfile.TemporaryDirectory() as folder:
                path = self._client.download_artifacts(self._parent, recorded[-1], folder)
                if Path(path).read_text(encoding="utf-8") == text:
                    return recorded[-1]
        return names[-1]

    def _start(self, message: Message) -> None:
        trial = message["trial"]
        run = self._run(trial)
        if run:
            self._client.update_run(run, status="RUNNING")
            old_tags = self._client.get_run(run).data.tags
            commits = _commits(old_tags, message.get("commit", ""))
            self._tag(run, {schema.STATE: "running"} | commits)
            self._summaries.note_start(trial)
        else:
            run = self._create(message)
        # Also for an existing run: the driver that made it may have died before it wrote these.
        params = [Param(key, _text(value)) for key, value in message["params"].items()]
        self._client.log_batch(run, params=params)
        log_dataset(self._client, run, message.get("dataset"))
        self._client.log_text(run, json.dumps(message["config"], indent=2), schema.CONFIG_FILE)

    def _create(self, message: Message) -> str:
        trial = message["trial"]
        tags = {
            schema.STATE: "running",
            schema.KIND: "trial",
            schema.PARENT: self._parent,
            schema.STUDY: self._study,
            schema.TRIAL_NUMBER: str(trial),
            schema.VARIANT: message["variant"],
            schema.STUDY_ID: self._identity,
            **message.get("tags", {}),
        }
        if message.get("commit"):
            tags[schema.COMMIT] = message["commit"]
        if message["retry_of"] is not None:
            tags[schema.RETRY_OF] = str(message["retry_of"])
        if message.get("role") is not None:
            tags[schema.ROLE] = message["role"]
        created = self._client.create_run(
            self._experiment, _millis(message), run_name=message["name"], tags=_cut(tags)
        )
        self._runs[trial] = created.info.run_id
        return created.info.run_id

    def _metrics(self, message: Message) -> None:
        trial = message["trial"]
        run = self._run(trial)
        rows = self._pending.setdefault(trial, [])
        for key, metrics in message["epochs"].items():
            if int(key) > self._last_epoch(trial, run):
                rows += _metrics(metrics, _millis(message), int(key))

    def _end(self, message: Message) -> None:
        trial, state = message["trial"], message["state"]
        run = self._run(trial)
        self._flush(trial)
        before = self._client.get_run(run)
        data = before.data
        rows = _end_metrics(message)
        # A driver that dies between the outbox and Optuna ends the trial a second time.
        rows = [row for row in rows if row.key not in data.metrics]
        if rows:
            self._client.log_batch(run, metrics=rows)
        for name, content in message.get("artifacts", {}).items():
            self._client.log_text(run, json.dumps(content) + "\n", name)
        tags = {schema.STATE: state}
        if state != "failed" and schema.ERROR in data.tags:  # a retry has succeeded
            self._client.delete_tag(run, schema.ERROR)
        if state == "pruned":
            tags[schema.PRUNED_AT] = str(message["epoch"])
        if message["error"]:
            tags[schema.ERROR] = message["error"]
        self._tag(run, tags)
        status = "FAILED" if state == "failed" else "FINISHED"
        self._client.set_terminated(run, status=status, end_time=_millis(message))
        new = {row.key: row.value for row in rows}
        self._summaries.note_end(before, state, new, _millis(message))

    def _spent(self, message: Message) -> None:
        self._client.log_batch(self._parent, _metrics(message["metrics"], _millis(message), 0))

    def _close(self, message: Message) -> None:
        for trial in list(self._pending):
            self._flush(trial)
        for run in self._search("trial", "attributes.status = 'RUNNING'"):
            run_id, tags = run.info.run_id, run.data.tags
            if run_id != self._run(int(tags[schema.TRIAL_NUMBER])):
                # A duplicate: the server made it after our request had timed out.
                self._client.delete_run(run_id)
                continue
            # interrupted; its trial can be resumed
            self._client.set_terminated(run_id, "KILLED", _millis(message))
        self._note_session(None, message["time"])
        self._tag(self._parent, {schema.STATE: message["state"]})
        status = "FINISHED" if message["state"] == "complete" else "KILLED"
        self._client.set_terminated(self._parent, status=status, end_time=_millis(message))

    def _flush(self, trial: int) -> None:
        rows = self._pending.pop(trial, [])
        while rows:
            end = len(rows)
            if end > _BATCH:  # between two epochs: one that is half there would count as known
                cuts = (i for i in range(_BATCH, 0, -1) if rows[i - 1].step < rows[i].step)
                end = next(cuts, _BATCH)
            self._client.log_batch(self._runs[trial], metrics=rows[:end])
            self._epochs[trial] = rows[end - 1].step
            rows = rows[end:]

    def _run(self, trial: int) -> str:
        """Return the id of a trial's run; "" before it was started."""
        if trial not in self._runs:
            run_id = self._find("trial", f"tags.{schema.TRIAL_NUMBER} = '{trial}'")
            if not run_id:
                return ""
            self._runs[trial] = run_id
        return self._runs[trial]

    def _last_epoch(self, trial: int, run: str) -> int:
        """Return the last epoch that the run has; read once for each trial."""
        if trial not in self._epochs:
            history = self._client.get_metric_history(run, schema.TRAIN_LOSS)
            self._epochs[trial] = max((metric.step for metric in history), default=0)
        return self._epochs[trial]

    def _tag(self, run: str, tags: Mapping[str, Any]) -> None:
        self._client.log_batch(run, tags=[RunTag(*tag) for tag in _cut(tags).items()])

    def _find(self, kind: str, condition: str = "") -> str:
        """Return the id of a run of the study; "" if there is none.

        One that was deleted in MLflow's pages is restored: the study still writes to it.
        """
        for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY):
            # Of two (see _close) the one that was written to.
            runs = self._search(kind, condition, view)
            best = max(runs, key=lambda run: len(run.data.metrics), default=None)
            if best is not None:
                if view == ViewType.DELETED_ONLY:
                    self._client.restore_run(best.info.run_id)
                return best.info.run_id
        return ""

    def _search(
        self, kind: str, condition: str = "", view: int = ViewType.ACTIVE_ONLY
    ) -> list[Run]:
        """Return the study's runs of a kind that fulfil a condition."""
        of_study = f"tags.{schema.STUDY_ID} = '{self._identity}' and tags.{schema.KIND} = '{kind}'"
        query = f"{of_study} and {condition}" if condition else of_study
        runs, token = [], None
        while True:
            page = self._client.search_runs([self._experiment], query, view, 1000, None, token)
            runs += page
            token = page.token
            if not token:
                return runs


def _metrics(metrics: Mapping[str, float], time: int, step: int) -> list[Metric]:
    return [Metric(schema.mlflow_name(key), value, time, step) for key, value in metrics.items()]


def _end_metrics(message: Message) -> list[Metric]:
    """Return the metrics of a trial's end: results at the epoch tested, costs at the last one."""
    last = message["epoch"]
    best = int(message["metrics"].get(schema.BEST_EPOCH, last))
    costs = {key: v for key, v in message["metrics"].items() if key.startswith("cost/")}
    results = {key: v for key, v in message["metrics"].items() if key not in costs}
    return [
        *_metrics(results, _millis(message), best),
        *_metrics(costs, _millis(message), last),
    ]


def _millis(message: Message) -> int:
    return int(message["time"] * 1000)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cut(tags: Mapping[str, Any]) -> dict[str, str]:
    """Return tags as text of a length that every database of MLflow holds."""
    return {key: str(value)[:_TAG_LENGTH] for key, value in tags.items()}


def _commits(tags: Mapping[str, str], commit: str) -> dict[str, str]:
    """Return the tag of all commits that ran it: those that `tags` has, and `commit`."""
    recorded = tags.get(schema.COMMIT, "").split(", ")
    commits = dict.fromkeys(filter(None, (*recorded, commit)))
    return {schema.COMMIT: ", ".join(commits)} if commits else {}
