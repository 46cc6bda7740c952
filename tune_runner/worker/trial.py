"""One trial in a worker: its run, its checkpoint, what it has reported, how it ended.

Several may be trained as one computation (see trainable); in everything else each is its own, so a
trial goes on from its checkpoint in whatever company, or alone. Torch is imported inside the
methods: the driver imports this module too, and never computes.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from diffrec.config.families import parse_config
from diffrec.errors import UserError
from tune_runner.checkpoints.store import CheckpointStore, open_store
from tune_runner.events import Outcome, TrialReport
from tune_runner.schema import (
    BEST_EPOCH,
    COST_CORE_SECONDS,
    COST_GPU_SECONDS,
    COST_JOULES,
    COST_SECONDS,
    EPOCH_SECONDS,
    TRAIN_LOSS,
    WEIGHTS_FILE,
)
from tune_runner.trials.groups import AssignedTrial
from tune_runner.trials.retries import classify_failure
from tune_runner.worker.backend import TrainingBackend

if TYPE_CHECKING:
    from diffrec.data import Dataset
    from diffrec.training.fused.runs import FusedEpoch


SAVING = 0.1
"""Part of a trial's time that its checkpoints may take. On a GPU an epoch takes less time than its
checkpoint: then a validation is not worth one, and an accident costs at most the time of ten."""


def _unmetered() -> float | None:
    return None


class WorkerTrial:
    """A trial of any variant; built by `start`, so that an error there is an ordinary failure."""

    def __init__(
        self,
        trial: AssignedTrial,
        objective: str,
        backend: TrainingBackend,
        data: "Dataset",
        meter: Callable[[], float | None] = _unmetered,
        resources: tuple[float, float] = (1.0, 0.0),
    ) -> None:
        """Take a trial.

        Args:
            trial: what to train, and where its checkpoint is.
            objective: name of the metric that is searched by.
            backend: builds the run and scores it.
            data: what it is trained, validated and tested on.
            meter: joules that the worker took since it was last asked; None where nobody knows.
            resources: cores and GPUs that the worker holds.
        """
        self.number, self.name = trial.number, trial.name
        self.run: Any = None
        self._config, self._location = trial.config, trial.checkpoint
        self._store: CheckpointStore | None = None
        self._objective, self._backend, self._data = objective, backend, data
        self._reports: list[TrialReport] = []
        self._replay: list[TrialReport] = []
        self._epochs: dict[int, dict[str, float]] = {}
        self._seconds, self._joules, self._claim = 0.0, 0.0, ""
        self._meter, self._resources = meter, resources
        self._core_seconds, self._gpu_seconds = 0.0, 0.0
        self._unsaved, self._last_save = 0.0, 0.0
        """Seconds trained since the last checkpoint, and those that it took."""

    def start(self, device: str) -> None:
        """Build the run and take up its checkpoint, if there is one."""
        started = time.perf_counter()
        try:
            self._build(device)
        finally:
            self._charge(time.perf_counter() - started)

    def _build(self, device: str) -> None:
        from tune_runner.checkpoints import files

        config = parse_config(self._config)
        self.run = self._backend.build_run(config, self._data.tuning_split(), device=device)
        self._store = open_store(self._location)
        self._claim = self._store.claim()
        state = files.load(self._store)
        if state is not None:
            self.run.load_state_dict(state["run"])
            self._seconds, self._joules = state["seconds"], state.get("joules", math.nan)
            # a checkpoint of an older version tells no more than the time
            held = [self._seconds * each for each in self._resources]
            self._core_seconds, self._gpu_seconds = state.get("held", held)
            self._reports = [_from_state(report) for report in state["reports"]]
            # The driver may have died before it heard of these; it knows which are news.
            self._replay = list(self._reports)

    def check(self) -> None:
        """Make sure that the trial is still this worker's.

        Raises:
            ClaimLostError: it was given up, or given to another.
        """
        assert self._store is not None
        self._store.check(self._claim)

    def replay(self) -> TrialReport | None:
        """Repeat the next report that the checkpoint remembers; None when all were repeated."""
        return self._with_outcome(self._replay.pop(0)) if self._replay else None

    def record_epoch(
        self, epoch: "FusedEpoch", seconds: float, joules: float | None = None, part: float = 1.0
    ) -> TrialReport | None:
        """Note an epoch of the run; return a report where it was validated or was the last.

        Args:
            epoch: what became of it.
            seconds: that the worker spent on it, whatever else it trained in that time.
            joules: that it took; None where the machine does not show them. A sum with a gap is
                NaN from then on: no measured part may pass for the whole.
            part: of the worker's share that was the trial's in that time.

        Raises:
            Exception: the error that ended the run.
        """
        self._charge(seconds, part)
        self._unsaved += part * seconds
        self._add(joules)
        if epoch.error is not None:
            raise epoch.error
        done = epoch.report
        assert done is not None
        self._epochs[done.epoch] = {TRAIN_LOSS: done.loss, EPOCH_SECONDS: done.seconds}
        if done.metrics is None and not done.finished:
            return None
        self._epochs[done.epoch] |= {**(done.metrics or {}), **self._cost()}
        value = (done.metrics or {}).get(self._objective)
        report = TrialReport(done.epoch, value, self._epochs)
        self._epochs = {}
        self._reports.append(report)
        if done.finished or SAVING * self._unsaved >= self._last_save:
            self._save()
        return self._with_outcome(report)

    def failure_report(self, error: Exception) -> TrialReport:
        """Return the report of what ended the run."""
        from diffrec.training.run import NonFiniteLossError

        if isinstance(error, NonFiniteLossError):
            said = f"the loss is not finite in epoch {error.epoch}"
            self._epochs.setdefault(error.epoch, {}).update(self._cost())
            outcome = Outcome(metrics=self._cost(), failure=said)
            return TrialReport(error.epoch, None, self._epochs, outcome)
        epoch = self._reports[-1].epoch if self._reports else 0
        said = str(error).splitlines()[0] if str(error) else "no message"
        kind = "permanent" if isinstance(error, UserError) else classify_failure(error)
        failure = said if kind == "permanent" else f"{type(error).__name__}: {said}"
        outcome = Outcome(metrics=self._cost(), failure=failure, failure_kind=kind)
        return TrialReport(epoch, None, {}, outcome)

    def _charge(self, seconds: float, part: float = 1.0) -> None:
        self._seconds += seconds
        self._core_seconds += part * seconds * self._resources[0]
        self._gpu_seconds += part * seconds * self._resources[1]

    def _add(self, joules: float | None) -> None:
        self._joules += math.nan if joules is None else joules

    def _cost(self) -> dict[str, float]:
        """Return what the trial took until now: one that is pruned or fails costs, too."""
        cost = {COST_SECONDS: self._seconds, COST_CORE_SECONDS: self._core_seconds}
        cost[COST_GPU_SECONDS] = self._gpu_seconds
        told = [row for report in self._reports for row in report.epochs.values()]
        if not math.isnan(self._joules) or any(COST_JOULES in row for row in told):
            cost[COST_JOULES] = self._joules
        return cost

    def _with_outcome(self, report: TrialReport) -> TrialReport:
        """Add the outcome to the last report of a run that has ended: test is scored here, once.

        The epoch's cost is told again, now that the test is part of it.
        """
        if not (self.run.finished and report is self._reports[-1]):
            return report
        started = time.perf_counter()
        best = dict(self.run.best_metrics)
        test, artifacts = self._backend.test(self.run, self._data.test)
        self._charge(time.perf_counter() - started)
        self._add(self._meter())
        cost = self._cost()
        epochs = {**report.epochs, report.epoch: {**report.epochs[report.epoch], **cost}}
        metrics = {BEST_EPOCH: float(self.run.best_epoch), **cost}
        metrics |= {f"best/{name}": value for name, value in best.items()} | test
        learned = self.run.weight_trajectory()
        if learned is not None:
            artifacts[WEIGHTS_FILE] = learned
        outcome = Outcome(best.get(self._objective), metrics, artifacts=artifacts)
        return TrialReport(report.epoch, report.objective, epochs, outcome)

    def _save(self) -> None:
        from tune_runner.checkpoints import files

        started = time.perf_counter()
        state = {
            "run": self.run.state_dict(),
            "seconds": self._seconds,
            "joules": self._joules,
            "held": [self._core_seconds, self._gpu_seconds],
            "reports": [_to_state(report) for report in self._reports],
        }
        assert self._store is not None
        files.save(self._store, state, claimed=self._claim)
        self._unsaved, self._last_save = 0.0, time.perf_counter() - started


def _to_state(report: TrialReport) -> dict[str, Any]:
    return asdict(report) | {"outcome": None}


def _from_state(state: dict[str, Any]) -> TrialReport:
    return TrialReport(**state)
