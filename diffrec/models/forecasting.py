"""F-DiffRec and LF-DiffRec: recommenders trained to predict the future from the past.

A bridge (`diffrec.diffusion.bridge`) leads from the discounted future x_0 to the recency-weighted
past y. The network predicts x_0 from x_t; a trained one is queried with the past at the end of the
history, and the reverse chain ends at a score per item. F-DiffRec works on the items themselves,
LF-DiffRec on the latent of L-DiffRec's clustered autoencoder. With one step and no noise F-DiffRec
is a plain network that forecasts.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from diffrec.config.forecasting import CELLS_PER_PIECE, ForecastingConfig
from diffrec.data.cuts import Cuts, CutSampler, WeightedRows, query_rows, seen_rows
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.diffusion.bridge import BridgeProcess
from diffrec.diffusion.chain import Shortcut, build_shortcut, collapsed_chain, finish_chain
from diffrec.diffusion.process import Draw
from diffrec.diffusion.timesteps import ImportanceTimestepSampler, UniformTimestepSampler
from diffrec.models.annealing import Annealing
from diffrec.models.autoencoder import ClusteredAutoencoder
from diffrec.models.base import EpochContext
from diffrec.models.clustered import ClusteredRecommender
from diffrec.models.forecast_loss import (
    forecast_distribution,
    mask_items,
    multinomial_losses,
    sampled_multinomial_losses,
    squared_error_losses,
)
from diffrec.models.forecast_network import ForecastDenoiser, bag, dense
from diffrec.models.noise import Noise, UserNoise


class ForecastingRecommender(ClusteredRecommender):
    """Recommender that predicts a user's next items from the recency-weighted newest ones."""

    batches_seen: Tensor

    def __init__(
        self, config: ForecastingConfig, num_items: int, cluster_ids: np.ndarray | None = None
    ) -> None:
        """Build with fresh weights from torch's global generator.

        Args:
            config: configuration of the recommender.
            num_items: number of items.
            cluster_ids: cluster of each item, shape (num_items,); needed with an autoencoder.
        """
        super().__init__(config, num_items)
        self.autoencoder, dim = None, num_items
        if config.autoencoder is not None:
            assert cluster_ids is not None
            self.annealing = Annealing(config.autoencoder)
            self.autoencoder = ClusteredAutoencoder(config.autoencoder, cluster_ids)
            dim = config.autoencoder.latent_dim
        steps = config.bridge.num_steps
        self.denoiser = ForecastDenoiser(dim, steps, config.denoiser)
        self.process = BridgeProcess(config.bridge)
        is_importance = config.bridge.timestep_sampler == "importance"
        sampler = ImportanceTimestepSampler if is_importance else UniformTimestepSampler
        self.timestep_sampler = sampler(steps)
        self.noise = Noise()
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))
        self._shortcut: Shortcut | None = None
        self._sampler: CutSampler | None = None

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.batches_seen.device

    @property
    def is_collapsible(self) -> bool:
        """True if x_0_hat is the network's own output: the chain may then run in the hidden layer.

        A softmax is not linear, and the output at masked items was never trained, so it is replaced
        by zero before the next step.
        """
        forecast, bridge = self.config.forecast, self.config.bridge
        linear = forecast.loss == "squared_error" and not forecast.mask_past
        return (linear or self.autoencoder is not None) and not bridge.stochastic_sampling

    def prepare(self, split: TuningSplit) -> None:
        """Find the histories that can be cut.

        Raises:
            UserError: there is none.
        """
        self._sampler = CutSampler(split.train, self.config.forecast)

    def train_epoch(self, epoch: EpochContext) -> float:
        """Train on random cuts of the train histories; return the mean loss.

        An epoch has as many batches as it takes to pass over the users once. Cuts and dropped
        interactions come from a generator named after seed and epoch.
        """
        sampler, size = self._sampler, self.config.training.batch_size
        assert sampler is not None
        batches, rng = -(-sampler.num_users // size), epoch.rng("cuts")
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for _ in range(batches):
            total += self._learn_cuts(sampler.cut(sampler.draw(size, rng), rng), epoch)
        return float(total) / batches

    def _learn_cuts(self, cuts: Cuts, epoch: EpochContext) -> Tensor:
        """Update every weight once; return the loss, a scalar on the model's device."""
        count = cuts.num_rows
        self.batches_seen += 1
        epoch.optimizer.zero_grad()
        piece = max(1, CELLS_PER_PIECE // self.num_items)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for start in range(0, count, piece):
            stop = min(start + piece, count)
            loss = self.cuts_loss(cuts.part(start, stop), epoch.number) * ((stop - start) / count)
            loss.backward()
            total += loss.detach()
        epoch.optimizer.step()
        return total

    def cuts_loss(self, cuts: Cuts, epoch: int) -> Tensor:
        """Return the loss of a batch of cuts, a scalar.

        Args:
            cuts: pasts and futures.
            epoch: zero-based epoch, for the annealing of the latent loss.
        """
        if self.autoencoder is not None:
            return self._latent_loss(self.autoencoder, cuts, epoch)
        process, denoiser = self.process, self.denoiser
        timesteps = self.timestep_sampler.sample(cuts.num_rows)
        product = denoiser.product_of(cuts.past)
        if process.num_steps > 1:
            product = process.mix(denoiser.product_of(cuts.future), product, timesteps.t)
        if process.has_noise:
            noise = self.noise(product.new_empty(cuts.num_rows, self.num_items))
            product = product + process.noise_of(denoiser.product(noise), timesteps.t)
        losses = self._item_losses(product, timesteps.t, cuts)
        losses = losses * process.loss_weight[timesteps.t].to(losses.dtype)
        self.timestep_sampler.update(timesteps.t, losses.detach())
        return (losses / timesteps.importance.to(losses.dtype)).mean()

    @torch.no_grad()
    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items).

        Args:
            history: interactions of all users.
            users: rows of `history` to score, shape (batch,).
        """
        rows = history.select_users(users)
        past = query_rows(rows, self.config.forecast)
        seen = seen_rows(rows) if self.config.forecast.mask_past else None
        noise = self.process.stochastic_sampling
        draw = UserNoise(self.config.seed, users) if noise else torch.randn_like
        if self.autoencoder is None:
            return self._run_chain(self.denoiser.product_of(past), seen, draw)
        latent = self.autoencoder.latent_of(bag(past, self.autoencoder.first_layers()))
        return self.autoencoder.decode(self._run_chain(self.denoiser.product(latent), None, draw))

    @contextmanager
    def cached_scoring(self) -> Iterator[None]:
        """Compute once what the scores of all users share; no weight may change meanwhile."""
        if self.is_collapsible:
            with torch.no_grad():
                self._shortcut = build_shortcut(self.process, self.denoiser)
        try:
            yield
        finally:
            self._shortcut = None

    def _run_chain(self, product: Tensor, seen: WeightedRows | None, draw: Draw) -> Tensor:
        """Run the reverse chain from W_x x_T, (batch, first_hidden); return its last prediction."""
        process, denoiser = self.process, self.denoiser
        if self.is_collapsible:
            shortcut = self._shortcut or build_shortcut(process, denoiser)
            return finish_chain(
                denoiser, collapsed_chain(process, denoiser, product, shortcut), None
            )
        a, b = process.linear_steps()
        for step in reversed(range(process.num_steps)):
            t = torch.full((len(product),), step, dtype=torch.long, device=product.device)
            output = denoiser(product, t)
            if step == 0:
                return output
            x_0_hat = self._x_0_hat(output, seen)
            product = a[step] * product + b[step] * denoiser.product(x_0_hat)
            if process.stochastic_sampling:
                std = process.posterior_std[step].to(product.dtype)
                product = product + std * denoiser.product(draw(x_0_hat))
        raise AssertionError("a chain has at least one step")

    def _x_0_hat(self, output: Tensor, seen: WeightedRows | None) -> Tensor:
        """Return the estimate of x_0, (batch, dim), in the network's output."""
        if self.autoencoder is not None:
            return output
        if self.config.forecast.loss == "multinomial":
            return forecast_distribution(output, seen)
        return mask_items(output, seen)

    def _item_losses(self, product: Tensor, t: Tensor, cuts: Cuts) -> Tensor:
        """Return the loss of each row, shape (batch,), from W_x x_t."""
        denoiser, forecast = self.denoiser, self.config.forecast
        if forecast.num_negatives is not None:
            hidden = denoiser.between(product + denoiser.step_bias(t))
            return sampled_multinomial_losses(
                hidden, denoiser.last, cuts.future, cuts.seen, forecast.num_negatives
            )
        output = denoiser(product, t)
        if forecast.loss == "multinomial":
            return multinomial_losses(output, cuts.future, cuts.seen)
        return squared_error_losses(output, cuts.future, cuts.seen)

    def _latent_loss(self, autoencoder: ClusteredAutoencoder, cuts: Cuts, epoch: int) -> Tensor:
        """Return L-DiffRec's loss: latent diffusion, multinomial likelihood, KL, annealed.

        The future is encoded at the norm of the past: both ends of the bridge are then in the same
        units, and one encoder serves both.
        """
        process, device = self.process, self.device
        past, future = (dense(rows, self.num_items, device) for rows in (cuts.past, cuts.future))
        norm = past.norm(dim=1, keepdim=True) / future.norm(dim=1, keepdim=True)
        end, start = autoencoder.encode(past), autoencoder.encode(future * norm)
        timesteps = self.timestep_sampler.sample(cuts.num_rows)
        x_t = process.mix(start.latent, end.latent, timesteps.t)
        if process.has_noise:
            x_t = x_t + process.noise_of(self.noise(x_t), timesteps.t)
        x_0_hat = self.denoiser(self.denoiser.product(x_t), timesteps.t)
        weight = process.loss_weight[timesteps.t].to(x_t.dtype)
        losses = weight * (x_0_hat - start.latent).square().mean(dim=1)
        self.timestep_sampler.update(timesteps.t, losses.detach())
        diffusion = (losses / timesteps.importance.to(losses.dtype)).mean()
        logits = autoencoder.decode(x_0_hat).contiguous()
        likelihood = multinomial_losses(logits, cuts.future, cuts.seen).mean()
        weights = self.annealing(epoch, self.batches_seen)
        return weights.diffusion * diffusion + likelihood + weights.kl * (end.kl + start.kl) / 2
