"""What must hold of a study after any fault: nothing lost, nothing twice, the two records agree."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import ray
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from tune_runner.schema import RETRY_OF, SEED
from tune_runner.search.storage import read_storage

RECORDED = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}

WORKER = re.compile(r"ray::(Recommender|\d{4} )")
"""Titles of workers, before and in a trial."""


@dataclass(frozen=True)
class Harm:
    """What went wrong, a phrase each; all empty if nothing did."""

    lost: tuple = ()
    """Finished trials that are gone, or have changed."""

    run_twice: tuple = ()
    """Finished trials of which an epoch was run again, and points that were tried twice."""

    duplicates: tuple = ()
    """MLflow runs and metrics that are there twice."""

    disagreements: tuple = ()
    """Trials of which Optuna and MLflow say different things."""


@dataclass
class Watch:
    """Looks at a study again and again, and remembers what was finished."""

    name: str
    uri: str
    """Of MLflow."""

    storage: str = ""
    """Of Optuna; the study's journal in ./runs if left out."""

    diary: str = ""
    """Where fake runs note their epochs."""

    _finished: dict = field(default_factory=dict)
    _read: int = 0

    def trials(self):
        """The study's trials in Optuna, by number."""
        url = self.storage or f"journal://{Path('runs').resolve() / self.name / 'study.log'}"
        try:
            return optuna.load_study(study_name=self.name, storage=read_storage(url)).trials
        except KeyError:  # described, but not begun
            return []

    def runs(self):
        """The study's own runs in MLflow and those of its trials, and the client."""
        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name("diffrec")
        ids = [experiment.experiment_id] if experiment else []
        all_runs = [  # not by a filter, in which a name with quotes cannot be written
            run
            for run in client.search_runs(ids, max_results=5000)
            if run.data.tags["study"] == self.name
        ]
        parents = [run for run in all_runs if run.data.tags["kind"] == "study"]
        return parents, [run for run in all_runs if run.data.tags["kind"] == "trial"], client

    def cells(self):
        """The summaries of the study's cells in MLflow."""
        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name("diffrec")
        return [
            run
            for run in client.search_runs([experiment.experiment_id], "tags.kind = 'cell'")
            if run.data.tags["study"] == self.name
        ]

    def harm(self, *, ended=True):
        """Compare with what was seen before; `ended`: no driver has anything left to tell MLflow.

        To be called while no driver is at work.
        """
        trials = self.trials()
        lost = [number for number, was in self._finished.items() if _facts(trials[number]) != was]
        run_twice = self._run_twice(trials)
        self._finished |= {t.number: _facts(t) for t in trials if t.state.is_finished()}
        parents, runs, client = self.runs()
        counts = Counter(run.data.tags["trial_number"] for run in runs)
        duplicates = [number for number, times in counts.items() if times > 1]
        duplicates += parents[1:]
        points = Counter(run.data.tags["point"] for run in self.cells()) if parents else {}
        duplicates += [point for point, times in points.items() if times > 1]
        for run in runs:
            for key in run.data.metrics:
                steps = [m.step for m in client.get_metric_history(run.info.run_id, key)]
                duplicates += [(run.info.run_name, key)] * (len(set(steps)) < len(steps))
        disagreements = _disagreements(trials, runs, client) if ended else []
        return Harm(*map(tuple, (lost, run_twice, duplicates, disagreements)))

    def _run_twice(self, trials):
        started = [t for t in trials if t.params and RETRY_OF not in t.user_attrs]
        points = Counter((str(t.params), t.user_attrs[SEED]) for t in started)
        twice = [point for point, times in points.items() if times > 1]
        if self.diary and Path(self.diary).exists():
            lines = Path(self.diary).read_text().splitlines()
            names = {trials[number].user_attrs["name"] for number in self._finished}
            ran = {line.split()[2] for line in lines[self._read :]}
            twice += [name for name in names if diary_name(name) in ran]
            self._read = len(lines)
        return twice


def diary_name(trial_name):
    """What a trial is called in the diary: "0.5/1" for "0007 0.5·seed1"."""
    rate, _, seed = trial_name.split()[1].partition("·seed")
    return f"{rate}/{seed}"


def _facts(trial):
    return trial.state, trial.value, trial.datetime_complete, trial.intermediate_values


def _disagreements(trials, runs, client):
    disagreements = []
    recorded = {int(run.data.tags["trial_number"]): run for run in runs}
    for trial in trials:
        run = recorded.get(trial.number)
        state = RECORDED.get(trial.state, "waiting")
        recorded_state = "waiting" if run is None else run.data.tags["state"]
        if state != recorded_state and {state, recorded_state} != {"running", "waiting"}:
            disagreements.append(f"{trial.number} is {state} in Optuna, {recorded_state} in MLflow")
        if run is None:
            continue
        history = client.get_metric_history(run.info.run_id, "valid/recall_at_20")
        if {metric.step: metric.value for metric in history} != trial.intermediate_values:
            disagreements.append(f"{trial.number} has other values")
        scored = "test/recall_at_20" in run.data.metrics
        if scored != (state == "complete"):
            disagreements.append(f"{trial.number} is {state}, but was it scored on test? {scored}")
    return disagreements


def places_of(secret, folder):
    """Return files below a folder and in Ray's logs, and processes, that show a secret."""
    context = ray.get_runtime_context()
    logs = Path(context.get_temp_dir(), context.get_session_name(), "logs")
    paths = [path for top in (folder, logs) for path in top.rglob("*") if path.is_file()]
    return [
        str(path)
        for path in (*paths, *Path("/proc").glob("[0-9]*/cmdline"))
        if secret.encode() in _bytes_of(path)
    ]


def _bytes_of(path):
    try:
        return path.read_bytes()
    except OSError:  # it has ended, or was removed
        return b""
