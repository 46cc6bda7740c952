"""Run of a closed-form model: one epoch, in which it is solved.

It has the interface of `TrainingRun`, so tuning, checkpoints and tables treat both alike.
"""

import time
from collections.abc import Iterator
from typing import Any

import torch

from diffrec.config.base import ModelConfig
from diffrec.data.interactions import TuningSplit
from diffrec.evaluation.beyond_accuracy import catalogue_of
from diffrec.evaluation.ranking import evaluate
from diffrec.runtime.memory import release_pages
from diffrec.training.factory import build_model
from diffrec.training.reports import EpochReport


class ClosedFormRun:
    """Fits one closed-form recommender and validates it once."""

    def __init__(self, config: ModelConfig, split: TuningSplit, *, device: str = "cpu") -> None:
        self.config, self.split, self.device = config, split, torch.device(device)
        self.epoch = 0
        self.best_metrics: dict[str, float] = {}
        self.model = build_model(config, split).to(device)

    @property
    def finished(self) -> bool:
        """True once the model has been fitted."""
        return self.epoch == 1

    @property
    def best_epoch(self) -> int:
        """The only epoch, or 0 before it."""
        return self.epoch

    def epochs(self) -> Iterator[EpochReport]:
        """Yield the epoch, unless it is over."""
        while not self.finished:
            yield self.next_epoch()

    def next_epoch(self) -> EpochReport:
        """Fit and validate the model; the reported loss is 0, since a closed form has none."""
        assert not self.finished
        started = time.perf_counter()
        self.model.fit(self.split.train)
        seconds = time.perf_counter() - started
        train, valid = self.split.train, self.split.valid
        catalogue = catalogue_of(train, self.split.item_embeddings)
        metrics = evaluate(
            self.model, history=train, target=valid, seen=[train], catalogue=catalogue
        )
        self.best_metrics = {f"valid/{name}": value for name, value in metrics.items()}
        self.epoch = 1
        return EpochReport(1, 0.0, seconds, self.best_metrics, is_best=True, finished=True)

    def restore_best(self) -> None:
        """Do nothing: the only state is the best."""

    def weight_trajectory(self) -> None:
        """Return None: no weights are learned."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to resume; safe for `torch.load(weights_only=True)`."""
        model = self.model.state_dict()
        return {
            "config": self.config.to_dict(),
            "epoch": self.epoch,
            "finished": self.finished,
            "best_metrics": self.best_metrics,
            "best_state": model if self.finished else {},
            "model": model,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a copy of `state`.

        Raises:
            ValueError: it comes from a run with another configuration.
        """
        if type(self.config).from_dict(state["config"]) != self.config:
            raise ValueError("The checkpoint was written with another configuration.")
        self.model.load_state_dict(state["model"])
        for tensor in state["model"].values():
            release_pages(tensor)
        self.epoch = state["epoch"]
        self.best_metrics = dict(state["best_metrics"])
