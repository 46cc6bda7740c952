"""One trial in a worker: its training run, its checkpoint, its reports and its outcome.

Several trials may be trained as one computation (see trainable). Everything else is separate for
each, so a trial is resumed from its checkpoint in any group, or alone. Torch is imported inside the
methods: the driver imports this module too, and never trains.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from diffrec.config.families import parse_config
from diffrec.errors import UserError
from tune_runner.checkpoints.store import CheckpointStore
from tune_runner.events import Outcome, TrialReport
from tune_runner.schema import (
    BEST_EPOCH,
    COST_CORE_SECONDS,
    COST_GPU_SECONDS,
    COST_JOULES,
    COST_SECONDS,
    CURVE_METRICS,
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


MAX_SAVE_FRACTION = 0.1
"""Largest share of a trial's time spent on checkpoints. On a GPU an epoch can be shorter than
writing one; then only some validations are saved, and a failure loses at most about ten save times
of training."""


def _no_meter() -> float | None:
    return None


def _never() -> bool:
    return False


class WorkerTrial:
    """A trial of any variant; `start` builds it, so that an error there is an ordinary failure."""

    def __init__(
        self,
        trial: AssignedTrial,
        objective: str,
        backend: TrainingBackend,
        data: "Dataset",
        meter: Callable[[], float | None] = _no_meter,
        resources: tuple[float, float] = (1.0, 0.0),
        is_draining: Callable[[], bool] = _never,
    ) -> None:
        """Prepare a trial; nothing is built yet.

        Args:
            trial: what to train, and the location of its checkpoint.
            objective: name of the metric that is searched by.
            backend: builds the run and scores it.
            data: the dataset, test split included.
            meter: returns the worker's joules since the last call; None if they are not measured.
            resources: cores and GPUs of the worker.
            is_draining: returns whether the worker's node is about to be taken away.
        """
        self.number, self.name = trial.number, trial.name
        self.run: Any = None
        self._config, self._location = trial.config, trial.checkpoint
        self._store: CheckpointStore | None = None
        self._objective, self._backend, self._data = objective, backend, data
        self._reports: list[TrialReport] = []
        self._replay: list[TrialReport] = []
        self._epochs: dict[int, dict[str, float]] = {}
        self._seconds, self._joules, self._token = 0.0, 0.0, ""
        self._meter, self._resources = meter, resources
        self._core_seconds, self._gpu_seconds = 0.0, 0.0
        self._is_draining = is_draining
        self._unsaved_seconds = 0.0
        """Seconds of training since the last checkpoint."""

        self._save_seconds = 0.0
        """Seconds that writing the last checkpoint took."""

    def start(self, device: str) -> None:
        """Build the run and resume it from its checkpoint, if there is one."""
        started = time.perf_counter()
        try:
            self._build(device)
        finally:
            self._charge(time.perf_counter() - started)

    def _build(self, device: str) -> None:
        from tune_runner.checkpoints import files

        config = parse_config(self._config, trusted=True)  # our own driver sent it
        self.run = self._backend.build_run(config, self._data.tuning_split(), device=device)
        self._store = CheckpointStore(self._location)
        self._token = self._store.claim()
        state = files.load(self._store)
        if state is not None:
            self.run.load_state_dict(state["run"])
            self._seconds, self._joules = state["seconds"], state["joules"]
            self._core_seconds, self._gpu_seconds = state["core_seconds"], state["gpu_seconds"]
            self._reports = [TrialReport(**report) for report in state["reports"]]
            self._epochs = state["epochs"]
            # The driver may have died before it received these; it skips those that it knows.
            self._replay = list(self._reports)

    def check(self) -> None:
        """Verify that the trial is still this worker's.

        Raises:
            ClaimLostError: it was pruned, or another worker has it.
        """
        assert self._store is not None
        self._store.check(self._token)

    def replay(self) -> TrialReport | None:
        """Return the next report of the checkpoint; None when all were repeated."""
        return self._with_outcome(self._replay.pop(0)) if self._replay else None

    def record_epoch(
        self,
        epoch: "FusedEpoch",
        seconds: float,
        joules: float | None = None,
        fraction: float = 1.0,
    ) -> TrialReport | None:
        """Record an epoch of the run; return a report if it was validated or was the last.

        Args:
            epoch: its report or its error.
            seconds: time that the worker spent on it, all that it trained in that time included.
            joules: the epoch's energy; None if it was not measured. After a missing reading the
                total is NaN, so that a partial sum is never reported as the total.
            fraction: fraction of the worker's resources that is charged to the trial.

        Raises:
            Exception: the error that ended the run.
        """
        self._charge(seconds, fraction)
        self._unsaved_seconds += fraction * seconds
        self._add_joules(joules)
        if epoch.error is not None:
            raise epoch.error
        trained = epoch.report
        assert trained is not None
        self._epochs[trained.epoch] = {TRAIN_LOSS: trained.loss, EPOCH_SECONDS: trained.seconds}
        if trained.metrics is None and not trained.finished:
            if self._is_draining():
                self._save()
            return None
        metrics = trained.metrics or {}
        curves = (self._objective, *CURVE_METRICS)  # all others are recorded of the best epoch
        self._epochs[trained.epoch] |= {name: metrics[name] for name in curves if name in metrics}
        self._epochs[trained.epoch] |= self._cost()
        report = TrialReport(trained.epoch, metrics.get(self._objective), self._epochs)
        self._epochs = {}
        self._reports.append(report)
        due = MAX_SAVE_FRACTION * self._unsaved_seconds >= self._save_seconds
        if trained.finished or due or self._is_draining():
            self._save()
        return self._with_outcome(report)

    def failure_report(self, error: Exception) -> TrialReport:
        """Return the report of an error that ended the run."""
        from diffrec.training.run import NonFiniteLossError

        if isinstance(error, NonFiniteLossError):
            message = f"the loss is not finite in epoch {error.epoch}"
            self._epochs.setdefault(error.epoch, {}).update(self._cost())
            outcome = Outcome(metrics=self._cost(), failure=message)
            return TrialReport(error.epoch, None, self._epochs, outcome)
        epoch = self._reports[-1].epoch if self._reports else 0
        message = str(error).splitlines()[0] if str(error) else "no message"
        kind = "permanent" if isinstance(error, UserError) else classify_failure(error)
        failure = message if kind == "permanent" else f"{type(error).__name__}: {message}"
        outcome = Outcome(metrics=self._cost(), failure=failure, failure_kind=kind)
        return TrialReport(epoch, None, {}, outcome)

    def _charge(self, seconds: float, fraction: float = 1.0) -> None:
        self._seconds += seconds
        self._core_seconds += fraction * seconds * self._resources[0]
        self._gpu_seconds += fraction * seconds * self._resources[1]

    def _add_joules(self, joules: float | None) -> None:
        self._joules += math.nan if joules is None else joules

    def _cost(self) -> dict[str, float]:
        """Return the cost of the trial so far; pruned and failed trials have one, too."""
        cost = {COST_SECONDS: self._seconds, COST_CORE_SECONDS: self._core_seconds}
        cost[COST_GPU_SECONDS] = self._gpu_seconds
        reported = [row for report in self._reports for row in report.epochs.values()]
        if not math.isnan(self._joules) or any(COST_JOULES in row for row in reported):
            cost[COST_JOULES] = self._joules
        return cost

    def _with_outcome(self, report: TrialReport) -> TrialReport:
        """Add the outcome to the last report of a finished run, which is tested here, once.

        The cost of the last epoch is replaced, since it now includes the test.
        """
        if not (self.run.finished and report is self._reports[-1]):
            return report
        started = time.perf_counter()
        best = dict(self.run.best_metrics)
        test, artifacts = self._backend.test(self.run, self._data.test)
        self._charge(time.perf_counter() - started)
        self._add_joules(self._meter())
        cost = self._cost()
        epochs = {**report.epochs, report.epoch: {**report.epochs[report.epoch], **cost}}
        metrics = {BEST_EPOCH: float(self.run.best_epoch), **cost}
        metrics |= {f"best/{name}": value for name, value in best.items()} | test
        trajectory = self.run.weight_trajectory()
        if trajectory is not None:
            artifacts[WEIGHTS_FILE] = trajectory
        outcome = Outcome(best.get(self._objective), metrics, artifacts=artifacts)
        return TrialReport(report.epoch, report.objective, epochs, outcome)

    def _save(self) -> None:
        from tune_runner.checkpoints import files

        started = time.perf_counter()
        state = {
            "run": self.run.state_dict(),
            "seconds": self._seconds,
            "joules": self._joules,
            "core_seconds": self._core_seconds,
            "gpu_seconds": self._gpu_seconds,
            "reports": [asdict(report) | {"outcome": None} for report in self._reports],
            "epochs": self._epochs,  # since the last report
        }
        assert self._store is not None
        files.save(self._store, state, token=self._token)
        self._unsaved_seconds, self._save_seconds = 0.0, time.perf_counter() - started
