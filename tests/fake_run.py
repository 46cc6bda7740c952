"""A training run without training: its curve is a formula, its accidents are planted.

`training.learning_rate` is how good the run becomes; `training.weight_decay` plants an accident:
0.1 a loss that is not finite, 0.2 an exception, 0.3 a worker killed once, 0.4 memory that runs out
unless the trial has two CPUs, 0.5 memory that always runs out, all in epoch 3.
"""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import ray

from diffrec.training.run import NonFiniteLossError

OBJECTIVE = "valid/recall@20"


@dataclass
class FakeRun:
    """Follows the contract of `TrainingRun`."""

    config: object
    seconds: float = 0.0
    graves: str = ""
    epoch: int = 0
    finished: bool = False
    best_epoch: int = 0
    best_metrics: dict = field(default_factory=dict)
    healthy: bool = False
    diary: str = ""
    gate: str = ""

    def next_epoch(self):
        time.sleep(self.seconds)
        self.epoch += 1
        if self.diary:
            self._note()
        while self.gate and self.epoch == 2 and not Path(self.gate).exists():
            time.sleep(0.05)
        if self.epoch == 3 and not self.healthy:
            self._accident()
        training = self.config.training
        value = training.learning_rate * (1 - 0.5**self.epoch) + 1e-6 * self.config.seed
        due = self.epoch % training.eval_every == 0 or self.epoch >= training.max_epochs
        others = {"valid/ndcg@20": value / 2, "valid/coverage@20": 1 - value}
        metrics = {OBJECTIVE: value, **others} if due else None
        if due:
            self.best_epoch, self.best_metrics = self.epoch, metrics
        self.finished = self.epoch >= training.max_epochs
        return SimpleNamespace(
            epoch=self.epoch,
            loss=1 / self.epoch,
            seconds=self.seconds,
            metrics=metrics,
            is_best=due,
            finished=self.finished,
        )

    def weight_trajectory(self):
        return {"weighting": "learned_recency", "epochs": [0, self.epoch]}

    def _note(self):
        """Write down who runs which epoch; one write, so that lines never mix."""
        node = ray.get_runtime_context().get_node_id()
        rate, seed = self.config.training.learning_rate, self.config.seed
        with Path(self.diary).open("ab", buffering=0) as file:
            file.write(f"{os.getpid()} {node} {rate}/{seed} {self.epoch}\n".encode())

    def _accident(self):
        planted = self.config.training.weight_decay
        if planted == 0.1:
            raise NonFiniteLossError(3)
        if planted == 0.2:
            raise RuntimeError("planted")
        cpus = ray.get_runtime_context().get_assigned_resources()["CPU"]
        if planted == 0.5 or (planted == 0.4 and cpus < 2):
            raise MemoryError
        marker = Path(self.graves) / f"seed{self.config.seed}"
        if planted == 0.3 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def state_dict(self):
        names = ("epoch", "finished", "best_epoch", "best_metrics")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state):
        for name, value in state.items():
            setattr(self, name, value)


class FakeFusedRuns:
    """Follows the contract of `FusedRuns`, one run after the other."""

    def __init__(self):
        self.runs = []

    def takes(self, run):
        return True

    def join(self, run):
        self.runs.append(run)

    def leave(self, run):
        self.runs = [member for member in self.runs if member is not run]

    def next_epoch(self):
        ended = [self._attempt(run) for run in self.runs]
        for epoch in ended:
            if epoch.report is None or epoch.report.finished:
                self.leave(epoch.run)
        return ended

    def _attempt(self, run):
        report = error = None
        try:
            report = run.next_epoch()
        except Exception as failure:  # noqa: BLE001 - as the real one
            error = failure
        return SimpleNamespace(run=run, report=report, error=error)


@dataclass(frozen=True)
class FakeBackend:
    """Stands in for `tune_runner.worker.backend.TrainingBackend`."""

    seconds: float = 0.0
    graves: str = ""
    healthy: bool = False
    diary: str = ""
    """File in which every epoch that is run is noted."""

    gate: str = ""
    """File that has to exist before a run gets through its second epoch."""

    def build_run(self, config, split, *, device="cpu"):
        assert not hasattr(split, "test")
        planted = {"healthy": self.healthy, "diary": self.diary, "gate": self.gate}
        return FakeRun(config, self.seconds, self.graves, **planted)

    def fuse(self):
        return FakeFusedRuns()

    def test(self, run, test):
        return {"test/recall@20": run.best_metrics[OBJECTIVE] + 1.0}, {}


def doubled(config, dataset, resources, count, *, cluster=None):
    """Spare the measurement of what fusing brings."""
    return 2.0
