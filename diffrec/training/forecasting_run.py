"""Run of a forecasting recommender, whose batches are cuts of histories, not users."""

import torch

from diffrec.config.forecasting import ForecastingConfig
from diffrec.data.cuts import Cuts, CutSampler
from diffrec.data.interactions import TuningSplit
from diffrec.models.forecasting import ForecastingRecommender
from diffrec.runtime.seeding import derive_seed, generator
from diffrec.training.run import TrainingRun, isolated_rng

CELLS_PER_PIECE = 2**25
"""Scores of a batch computed at a time, 128 MiB in float32. A larger batch is split into rows whose
gradients are added, so memory does not grow with batch times items."""


class ForecastingRun(TrainingRun):
    """Run that trains on random cuts of the train histories; all else is as in `TrainingRun`.

    An epoch has as many batches as it takes to pass over the users once. Cuts and dropped
    interactions come from a generator named after seed and epoch, so a resumed run equals an
    uninterrupted one to the bit.
    """

    def __init__(
        self, config: ForecastingConfig, split: TuningSplit, *, device: str = "cpu"
    ) -> None:
        self._sampler = CutSampler(split.train, config.forecast)
        super().__init__(config, split, device=device)
        self.uses_cuda_graph = False

    def _train_epoch(self) -> float:
        """Train one epoch; return the mean loss."""
        model, config = self.model, self.config
        model.train()
        size = config.training.batch_size
        batches = -(-self._sampler.num_users // size)
        rng = generator(config.seed, "cuts", self.epoch)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        with isolated_rng(self.device, derive_seed(config.seed, "epoch", self.epoch)):
            for _ in range(batches):
                total += self._learn_cuts(self._sampler.cut(self._sampler.draw(size, rng), rng))
        return float(total) / batches

    def _learn_cuts(self, cuts: Cuts) -> torch.Tensor:
        """Update every weight once; return the loss, a scalar on the model's device."""
        model, count = self.model, cuts.num_rows
        assert isinstance(model, ForecastingRecommender)
        model.batches_seen += 1
        self.optimizer.zero_grad()
        chunk_rows = max(1, CELLS_PER_PIECE // model.num_items)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for start in range(0, count, chunk_rows):
            stop = min(start + chunk_rows, count)
            loss = model.training_loss(cuts.part(start, stop), self.epoch) * (
                (stop - start) / count
            )
            loss.backward()
            total += loss.detach()
        self.optimizer.step()
        return total
