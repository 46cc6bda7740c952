"""A training run without training: its curve is a formula, its accidents are planted.

`training.learning_rate` is how good the run becomes; `training.weight_decay` plants an accident:
0.1 a loss that is not finite, 0.2 an exception, 0.3 a worker killed once (both in epoch 3).
"""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

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

    def next_epoch(self):
        time.sleep(self.seconds)
        self.epoch += 1
        if self.epoch == 3:
            self._accident()
        training = self.config.training
        value = training.learning_rate * (1 - 0.5**self.epoch) + 1e-6 * self.config.seed
        due = self.epoch % training.eval_every == 0 or self.epoch >= training.max_epochs
        metrics = {OBJECTIVE: value, "valid/ndcg@20": value / 2} if due else None
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

    def _accident(self):
        planted = self.config.training.weight_decay
        if planted == 0.1:
            raise NonFiniteLossError(3)
        if planted == 0.2:
            raise RuntimeError("planted")
        grave = Path(self.graves) / f"seed{self.config.seed}"
        if planted == 0.3 and not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def state_dict(self):
        names = ("epoch", "finished", "best_epoch", "best_metrics")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state):
        for name, value in state.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class FakeEngine:
    """Stands in for `tune_runner.trainable.Engine`."""

    seconds: float = 0.0
    graves: str = ""

    def build_run(self, config, split, *, device="cpu"):
        assert not hasattr(split, "test")
        return FakeRun(config, self.seconds, self.graves)

    def test_metrics(self, run, test):
        return {"test/recall@20": run.best_metrics[OBJECTIVE] + 1.0}
