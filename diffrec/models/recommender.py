"""The four published variants and their extensions: one class, composed of parts.

DiffRec diffuses item vectors; with an autoencoder (L-) the latent of one; with temporal weights
(T-) weighted vectors; LT- does both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.config import RecommenderConfig
from diffrec.data.batches import dense_rows
from diffrec.data.interactions import Interactions
from diffrec.diffusion.chain import Shortcut, collapsed_chain, finish_chain, shortcut
from diffrec.diffusion.process import GaussianProcess
from diffrec.diffusion.timesteps import (
    ImportanceTimestepSampler,
    LearnedTimestepSampler,
    UniformTimestepSampler,
)
from diffrec.models.autoencoder import ClusteredAutoencoder, multinomial_nll
from diffrec.models.denoiser import Denoiser
from diffrec.models.recency import RecencyCurve, cut_histories, future_nll
from diffrec.models.temporal import interaction_weights


class _AtRest(NamedTuple):
    """What the scores of all users have in common while no weight changes."""

    through: Shortcut
    columns: Tensor | None
    """W_x by items, (dim, first_hidden), contiguous; None unless the chain starts sparse."""


class DiffusionRecommender(nn.Module):
    """Denoises a user's history into a score per item.

    Everything a run needs to continue is in `state_dict`: weights, diffusion coefficients, the loss
    memory of the timestep sampler, the cluster order, the batches seen.
    """

    batches_seen: Tensor

    def __init__(
        self, config: RecommenderConfig, num_items: int, cluster_ids: np.ndarray | None = None
    ) -> None:
        """Build with fresh weights from torch's global generator.

        Args:
            config: what to build.
            num_items: width of the interaction vectors.
            cluster_ids: cluster of each item, shape (num_items,); needed with an autoencoder.
        """
        super().__init__()
        self.config, self.num_items = config, num_items
        self.autoencoder = None
        dim = num_items
        if config.autoencoder is not None:
            assert cluster_ids is not None
            assert len(cluster_ids) == num_items
            self.autoencoder = ClusteredAutoencoder(config.autoencoder, cluster_ids)
            dim = config.autoencoder.latent_dim
        self.denoiser = Denoiser(dim, config.denoiser)
        self.process = GaussianProcess(config.diffusion)
        self.timestep_sampler = _sampler(config)
        learns = config.temporal.weighting == "learned_recency"
        self.recency = RecencyCurve() if learns else None
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))
        self._at_rest: _AtRest | None = None

    def training_weights(
        self, history: Interactions
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the weights of (input, target), each (nnz,) or None for ones."""
        temporal = self.config.temporal
        if not temporal.is_static:
            return None, None
        weights = interaction_weights(temporal, history)
        return (
            weights if temporal.weigh_training_input else None,
            weights if temporal.weigh_training_target else None,
        )

    def training_loss(self, x_0: Tensor, target: Tensor, epoch: int) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            x_0: histories to learn from, shape (batch, num_items).
            target: what they are compared with, same shape; the same tensor unless temporal
                weights touch only one of the two.
            epoch: zero-based epoch, for the annealing of L-DiffRec's diffusion weight.
        """
        self.batches_seen += 1
        if self.autoencoder is None:
            return self._diffusion_loss(x_0, target)[0]
        encoded = self.autoencoder.encode(x_0)
        # The target latent carries gradient into the encoder, as released (docs/deviations.md).
        diffusion, x_0_hat = self._diffusion_loss(encoded.latent, encoded.latent)
        # As released, the likelihood is of the dropped-out history that was encoded.
        nll_target = encoded.x_0 if target is x_0 else target
        reconstruction = multinomial_nll(self.autoencoder.decode(x_0_hat), nll_target)
        autoencoder_loss = reconstruction + self._kl_weight() * encoded.kl
        weight = self._diffusion_weight(epoch)
        if self.config.diffusion.loss_weighting == "elbo":
            return weight * diffusion + autoencoder_loss
        return diffusion + weight * autoencoder_loss

    @torch.no_grad()
    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return x_0_hat: a score per item, shape (len(users), num_items).

        Args:
            history: what all users did.
            users: rows of `history` to score, shape (batch,).
        """
        rows = history.select_users(users)
        return self._scores(rows, self._asking_weights(rows))

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Compute what the scores of all users share once; no weight may change meanwhile."""
        with torch.no_grad():
            self._at_rest = self._rest()
        try:
            yield
        finally:
            self._at_rest = None

    def future_loss(self, history: Interactions, rng: np.random.Generator) -> Tensor:
        """Return how badly the weighted pasts foretell the next items; gradient reaches W alone.

        Args:
            history: train interactions of the batch's users.
            rng: where the histories are cut.
        """
        temporal = self.config.temporal
        assert self.recency is not None
        assert temporal.future_items is not None
        assert temporal.future_temperature is not None
        past, future = cut_histories(history, temporal.future_items, rng)
        with self._taught_to_nobody_else():
            scores = self._scores(past, self.recency(past))
            return future_nll(temporal.future_temperature * scores, past, future)

    def learned_weights(self) -> Tensor | None:
        """Return W, or None where nothing is learned: (knots,) of ages, or (num_steps, window)."""
        learned = self.recency
        if isinstance(self.timestep_sampler, LearnedTimestepSampler):
            learned = self.timestep_sampler
        return None if learned is None else learned.knots().detach()

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.batches_seen.device

    @property
    def _is_exactly_linear(self) -> bool:
        """Whether the reverse chain may run in the hidden layer (diffusion/chain.py)."""
        return not (self.process.stochastic_sampling or self.denoiser.normalize_input)

    @property
    def _is_sparse_start(self) -> bool:
        """Whether the chain starts from the sparse history itself."""
        start = self.process.num_inference_noise_steps == 0 and self.autoencoder is None
        return start and self._is_exactly_linear

    def _asking_weights(self, rows: Interactions) -> Tensor | None:
        """Return the weights of what the network is asked with, (nnz,), or None for ones."""
        temporal = self.config.temporal
        if self.recency is not None:
            return self.recency(rows)
        if not temporal.weigh_inference:
            return None
        weights = interaction_weights(temporal, rows)
        return None if weights is None else torch.from_numpy(weights).to(self.device)

    @contextmanager
    def _taught_to_nobody_else(self) -> Iterator[None]:
        """Freeze every parameter but W, and dropout, while a graph is built."""
        assert self.recency is not None
        mine = {id(p) for p in self.recency.parameters()}
        others = [p for p in self.parameters() if id(p) not in mine]
        was_training = self.training
        self.eval()
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)
            self.train(was_training)

    def _scores(self, rows: Interactions, weights: Tensor | None) -> Tensor:
        if self._is_sparse_start:
            return self._scores_from_sparse(rows, weights)
        x_0 = self._dense(rows, weights)
        if self.autoencoder is None:
            return self._denoise(x_0)
        return self.autoencoder.decode(self._denoise(self.autoencoder.encode(x_0).latent))

    def _diffusion_loss(self, x_0: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        timesteps = self.timestep_sampler.sample(len(x_0))
        loss = self.process.training_loss(
            self.denoiser, x_0, target, timesteps.t, torch.randn_like(x_0)
        )
        self.timestep_sampler.update(timesteps.t, loss.per_row.detach())
        return (loss.per_row / timesteps.importance.to(x_0.dtype)).mean(), loss.x_0_hat

    def _diffusion_weight(self, epoch: int) -> float:
        config = self.config.autoencoder
        assert config is not None
        fall = config.diffusion_weight_anneal_epochs
        remaining = 1 - epoch / fall if fall else 1.0
        return max(remaining * config.diffusion_weight, config.diffusion_weight_min)

    def _kl_weight(self) -> Tensor | float:
        config = self.config.autoencoder
        assert config is not None
        rise = config.kl_weight_anneal_batches
        if not rise:
            return config.kl_weight_max
        return ((self.batches_seen - 1) / rise).clamp(max=config.kl_weight_max)

    def _rest(self) -> _AtRest | None:
        """Return what the scores of all users share; None for the plain chain."""
        if not self._is_exactly_linear:
            return None
        columns = self.denoiser.input_weight.T.contiguous() if self._is_sparse_start else None
        return _AtRest(shortcut(self.denoiser), columns)

    def _denoise(self, x_0: Tensor) -> Tensor:
        x_t = self.process.noise_history(x_0)
        rest = self._at_rest or self._rest()
        if rest is None:
            return self.process.reverse_chain(self.denoiser, x_t)
        product = F.linear(x_t, self.denoiser.input_weight)
        end = collapsed_chain(self.process, self.denoiser, product, rest.through)
        return finish_chain(self.denoiser, end, x_t)

    def _scores_from_sparse(self, rows: Interactions, weights: Tensor | None) -> Tensor:
        device = self.device
        rest = self._at_rest or self._rest()
        assert rest is not None
        assert rest.columns is not None
        product = F.embedding_bag(
            torch.from_numpy(rows.indices.astype(np.int64)).to(device),
            rest.columns,
            torch.from_numpy(rows.indptr[:-1].copy()).to(device),
            mode="sum",
            per_sample_weights=weights,
        )
        end = collapsed_chain(self.process, self.denoiser, product, rest.through)
        x_t = None if end.history_scale == 0 else self._dense(rows, weights)
        return finish_chain(self.denoiser, end, x_t)

    def _dense(self, rows: Interactions, weights: Tensor | None) -> Tensor:
        if weights is None:
            return torch.from_numpy(dense_rows(rows, np.arange(rows.num_users))).to(self.device)
        cells = torch.from_numpy(rows.users() * rows.num_items + rows.indices).to(self.device)
        flat = weights.new_zeros(rows.num_users * rows.num_items)
        return flat.index_put((cells,), weights).view(rows.num_users, rows.num_items)


def _sampler(
    config: RecommenderConfig,
) -> ImportanceTimestepSampler | UniformTimestepSampler:
    steps = config.diffusion.num_steps
    if config.temporal.weighting == "learned_steps":
        return LearnedTimestepSampler(steps)
    if config.diffusion.timestep_sampler == "importance":
        return ImportanceTimestepSampler(steps)
    return UniformTimestepSampler(steps)
