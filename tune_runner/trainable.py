"""One Ray trainable for every recommender: trains to the next validation, reports, goes on.

The worker process is used again for the next trial, since starting one costs more than a short
trial; nothing of a trial outlives `reset_config`. Building happens in the first step, not at the
start: an error there is an ordinary failure of the trial, which Tune reports and retries. Torch is
imported inside the methods: the driver imports this module too, and never computes.
"""

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from diffrec.errors import UserError
from diffrec.families import parse_config
from tune_runner.conductor import Assignment
from tune_runner.engine import Engine
from tune_runner.placement import forget_gpu_memory, hold_to_share
from tune_runner.records import (
    BEST_EPOCH,
    COST_SECONDS,
    EPOCH_SECONDS,
    TRAIN_LOSS,
    WEIGHTS_FILE,
)
from tune_runner.reports import Outcome, TrialReport
from tune_runner.retries import cause_of
from tune_runner.searching import ASSIGNMENT, REPORT

if TYPE_CHECKING:
    from diffrec.data import Dataset

logger = logging.getLogger(__name__)


class RecommenderTrial(tune.Trainable):
    """A trial of any variant, in a worker."""

    def setup(
        self,
        config: dict[str, Any],
        data: "Dataset | None" = None,
        engine: Engine | None = None,
    ) -> None:
        """Take the data, once for all trials of this process, and the first assignment."""
        assert data is not None
        self._data, self._engine = data, engine or Engine()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Forget the last trial and take the next."""
        self._assignment: Assignment = new_config[ASSIGNMENT]
        self._device = hold_to_share(self._assignment.placement)
        self._forget_run()
        return True

    def step(self) -> dict[str, Any]:
        """Go on to the next validation, or repeat a report that a checkpoint remembers.

        An accident is reported, not raised: a process that has torch and the data takes the retry,
        or the next trial, at once. Only an error of the GPU leaves the process unfit.
        """
        try:
            return _result(self._next_report())
        except Exception as error:
            if "CUDA error" in str(error):
                raise
            logger.warning("Trial %s had an accident", self._assignment.name, exc_info=True)
            failure = self._failure(error)
            self._forget_run()
            return _result(failure)

    def __repr__(self) -> str:
        # Ray asks once, when the actor starts (even if that failed): a reused worker keeps the
        # name of its first trial.
        assignment = getattr(self, "_assignment", None)
        return "trial" if assignment is None else assignment.name

    def _next_report(self) -> TrialReport:
        if self._run is None:
            self._start()
        report = self._replay.pop(0) if self._replay else None
        return self._advance() if report is None else self._complete(report)

    def _failure(self, error: Exception) -> TrialReport:
        epoch = self._reports[-1].epoch if self._reports else 0
        said = str(error).splitlines()[0] if str(error) else "no message"
        cause = "final" if isinstance(error, UserError) else cause_of(error)
        failure = said if cause == "final" else f"{type(error).__name__}: {said}"
        return TrialReport(epoch, None, {}, Outcome(failure=failure, cause=cause))

    def _forget_run(self) -> None:
        self._run: Any = None
        self._reports: list[TrialReport] = []
        self._replay: list[TrialReport] = []
        self._seconds, self._claim = 0.0, ""
        forget_gpu_memory(self._device)

    def _start(self) -> None:
        from tune_runner import checkpoints

        config = parse_config(self._assignment.config)
        self._run = self._engine.build_run(config, self._data.tuning_split(), device=self._device)
        self._claim = checkpoints.claim(self._folder)
        state = checkpoints.load(self._folder)
        if state is not None:
            self._run.load_state_dict(state["run"])
            self._seconds = state["seconds"]
            self._reports = [_from_state(report) for report in state["reports"]]
            # The driver may have died before it heard of these; it knows which are news.
            self._replay = list(self._reports)

    def _advance(self) -> TrialReport:
        from diffrec.training.run import NonFiniteLossError

        epochs: dict[int, dict[str, float]] = {}
        started, before = time.perf_counter(), self._seconds
        while True:
            try:
                epoch = self._run.next_epoch()
            except NonFiniteLossError as error:
                failure = Outcome(failure=f"the loss is not finite in epoch {error.epoch}")
                return TrialReport(error.epoch, None, epochs, failure)
            epochs[epoch.epoch] = {TRAIN_LOSS: epoch.loss, EPOCH_SECONDS: epoch.seconds}
            if epoch.metrics is not None:
                epochs[epoch.epoch] |= epoch.metrics
            if epoch.metrics is not None or epoch.finished:
                break
        self._seconds = before + time.perf_counter() - started
        value = (epoch.metrics or {}).get(self._assignment.objective)
        report = TrialReport(epoch.epoch, value, epochs)
        self._reports.append(report)
        self._save()
        return self._complete(report)

    def _complete(self, report: TrialReport) -> TrialReport:
        """Add the outcome to the last report of a run that has ended: test is scored here, once."""
        if not (self._run.finished and report is self._reports[-1]):
            return report
        started = time.perf_counter()
        best = dict(self._run.best_metrics)
        test = self._engine.test_metrics(self._run, self._data.test)
        seconds = self._seconds + time.perf_counter() - started
        metrics = {BEST_EPOCH: float(self._run.best_epoch), COST_SECONDS: seconds}
        metrics |= {f"best/{name}": value for name, value in best.items()} | test
        learned = self._run.weight_trajectory()
        artifacts = {} if learned is None else {WEIGHTS_FILE: learned}
        outcome = Outcome(best.get(self._assignment.objective), metrics, artifacts=artifacts)
        return TrialReport(report.epoch, report.objective, report.epochs, outcome)

    def _save(self) -> None:
        from tune_runner import checkpoints

        state = {
            "run": self._run.state_dict(),
            "seconds": self._seconds,
            "reports": [_to_state(report) for report in self._reports],
        }
        checkpoints.save(self._folder, state, claimed=self._claim)

    @property
    def _folder(self) -> Path:
        return Path(self._assignment.checkpoint)


def _result(report: TrialReport) -> dict[str, Any]:
    return {REPORT: report, "epoch": report.epoch, "done": report.outcome is not None}


def _to_state(report: TrialReport) -> dict[str, Any]:
    return asdict(report) | {"outcome": None}


def _from_state(state: dict[str, Any]) -> TrialReport:
    return TrialReport(**state)
