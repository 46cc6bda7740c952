"""DiffRec, L-, T- and LT-DiffRec and their extensions as one class, composed of parts.

DiffRec diffuses item vectors; with an autoencoder (L-) the latent of one; with temporal weights
(T-) weighted vectors; LT- does both.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec.config import RecommenderConfig
from diffrec.data.interactions import Interactions
from diffrec.diffusion.chain import Shortcut, build_shortcut, collapsed_chain, finish_chain
from diffrec.diffusion.process import Draw, GaussianProcess
from diffrec.diffusion.timesteps import (
    ImportanceTimestepSampler,
    LearnedTimestepSampler,
    UniformTimestepSampler,
)
from diffrec.models.annealing import Annealing
from diffrec.models.autoencoder import ClusteredAutoencoder, multinomial_nll
from diffrec.models.denoiser import Denoiser
from diffrec.models.learned_weights import WeightLearner
from diffrec.models.monotone_recency import build_curve
from diffrec.models.noise import Noise, UserNoise
from diffrec.models.query_choice import Query, QueryChoice
from diffrec.models.temporal import interaction_weights
from diffrec.models.weighted_history import WeightedHistory
from diffrec.runtime.devices import to_device


class _ScoringCache(NamedTuple):
    """Results that the scores of all users share while no weight changes."""

    shortcut: Shortcut | None
    """`build_shortcut` of the chain; None if it cannot run in the hidden layer."""

    columns: Tensor | None
    """First factor of a sparse history, (num_items, width), contiguous: W_x by items, or the first
    layers of the encoders. None if the chain starts from a dense history."""


class DiffusionRecommender(WeightLearner):
    """Recommender that denoises a user's history into a score per item.

    Everything a run needs to continue is in `state_dict`: weights, diffusion coefficients, the loss
    memory of the timestep sampler, the cluster order, the batches seen.
    """

    is_capturable = True
    batches_seen: Tensor

    def __init__(
        self, config: RecommenderConfig, num_items: int, cluster_ids: np.ndarray | None = None
    ) -> None:
        """Build with fresh weights from torch's global generator.

        Args:
            config: configuration of the recommender.
            num_items: width of the interaction vectors.
            cluster_ids: cluster of each item, shape (num_items,); needed with an autoencoder.
        """
        super().__init__(config, num_items)
        self.autoencoder = None
        self.noise = Noise()
        dim = num_items
        if config.autoencoder is not None:
            assert cluster_ids is not None
            assert len(cluster_ids) == num_items
            self.annealing = Annealing(config.autoencoder)
            self.autoencoder = ClusteredAutoencoder(config.autoencoder, cluster_ids)
            dim = config.autoencoder.latent_dim
        self.denoiser = Denoiser(dim, config.denoiser)
        self.process = GaussianProcess(config.diffusion)
        self.timestep_sampler = _build_sampler(config)
        self.recency = build_curve(config.temporal, config.diffusion.num_steps)
        self.query = QueryChoice(config.temporal.inference_scale) if config.temporal.guard else None
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))
        self._cache: _ScoringCache | None = None
        self.chain_dtype: torch.dtype | None = None
        """Dtype of the reverse chain's products (`chain_precision`); None: that of the weights."""

    def training_weights(
        self, history: Interactions
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the weights of (input, target), each (nnz,) or None for ones."""
        temporal = self.config.temporal
        weights = interaction_weights(temporal, history)
        return (
            weights if temporal.weigh_training_input else None,
            weights if temporal.weigh_training_target else None,
        )

    def training_loss(self, x_0: Tensor, target: Tensor, epoch: int | Tensor) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            x_0: histories to noise, shape (batch, num_items).
            target: what x_0_hat is compared with, same shape; the same tensor unless temporal
                weights apply to only one of the two.
            epoch: zero-based epoch, for the annealing of L-DiffRec's diffusion weight; a float64
                scalar on the device inside a CUDA graph.
        """
        self.batches_seen += 1
        if self.autoencoder is None:
            return self._diffusion_loss(x_0, target, wants_x_0_hat=False)[0]
        encoded = self.autoencoder.encode(x_0)
        # As released, the target latent carries gradient into the encoder.
        latent = encoded.latent
        diffusion, x_0_hat = self._diffusion_loss(latent, latent, wants_x_0_hat=True)
        assert x_0_hat is not None
        # As released, the likelihood is of the dropped-out history that was encoded.
        nll_target = encoded.x_0 if target is x_0 else target
        reconstruction = multinomial_nll(self.autoencoder.decode(x_0_hat), nll_target)
        weights = self.annealing(epoch, self.batches_seen)
        autoencoder_loss = reconstruction + weights.kl * encoded.kl
        if self.config.diffusion.loss_weighting == "elbo":
            return weights.diffusion * diffusion + autoencoder_loss
        return diffusion + weights.diffusion * autoencoder_loss

    @torch.no_grad()
    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return x_0_hat: a score per item, shape (len(users), num_items).

        A stochastic chain draws each user's noise from the configuration's seed, so repeated calls
        return the same scores.

        Args:
            history: interactions of all users.
            users: rows of `history` to score, shape (batch,).
        """
        rows = history.select_users(users)
        draws = self.process.draws_when_scoring
        draw = UserNoise(self.config.seed, users) if draws else torch.randn_like
        query = None if self.query is None else self.query.query
        return self._scores(self._query(rows, query), draw)

    @contextmanager
    def cached_scoring(self) -> Iterator[None]:
        """Compute once what the scores of all users share; no weight may change meanwhile."""
        with torch.no_grad():
            self._cache = self._build_cache()
        try:
            yield
        finally:
            self._cache = None

    @contextmanager
    def chain_precision(self, dtype: torch.dtype | None) -> Iterator[None]:
        """Run the reverse chain's products in `dtype`; None: in that of the weights.

        Validation, which chooses an epoch, may use bfloat16; reported metrics are float32.
        """
        previous, self.chain_dtype = self.chain_dtype, dtype
        try:
            yield
        finally:
            self.chain_dtype = previous

    def query_choice(self) -> QueryChoice | None:
        """Return the queries of a guarded recommender."""
        return self.query

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.batches_seen.device

    @property
    def _is_exactly_linear(self) -> bool:
        """True if the reverse chain may run in the hidden layer (diffusion/chain.py)."""
        return not (self.process.stochastic_sampling or self.denoiser.normalize_input)

    @property
    def _is_sparse_start(self) -> bool:
        """True if the chain starts from the sparse history itself."""
        start = self.process.num_inference_noise_steps == 0 and self.autoencoder is None
        return start and self._is_exactly_linear

    def _query(self, rows: Interactions, query: Query | None = None) -> WeightedHistory:
        """Return the weighted, scaled histories to query with, as configured or as chosen."""
        scale = self.config.temporal.inference_scale if query is None else query.scale
        unweighted = query is not None and not query.is_weighted
        weights = [None] if unweighted else self._query_weights(rows)
        if scale != 1:
            ones = torch.ones(len(rows.indices), device=self.device)
            weights = [scale * (ones if row is None else row) for row in weights]
        return WeightedHistory(rows, weights, self.device)

    def _query_weights(self, rows: Interactions) -> list[Tensor | None]:
        """Return the weights of each interaction, (nnz,), one entry for all steps or one each."""
        temporal = self.config.temporal
        if self.recency is not None:
            return self.recency.all_rows(rows)
        if not temporal.weigh_inference:
            return [None]
        weights = interaction_weights(temporal, rows)
        return [None if weights is None else to_device(weights, self.device)]

    def _scores(self, query: WeightedHistory, draw: Draw = torch.randn_like) -> Tensor:
        if self._is_sparse_start:
            return self._scores_from_sparse(query)
        cache = self._cache or self._build_cache()

        def history_at(step: int) -> Tensor:
            if self.autoencoder is None or cache.columns is None:
                return query.dense(step)
            return self.autoencoder.latent_of(query.times(cache.columns, step))

        x_0_hat = self._denoise(
            cache, history_at(-1), history_at if query.differs_by_step else None, draw
        )
        return x_0_hat if self.autoencoder is None else self.autoencoder.decode(x_0_hat)

    def _diffusion_loss(
        self, x_0: Tensor, target: Tensor, *, wants_x_0_hat: bool
    ) -> tuple[Tensor, Tensor | None]:
        timesteps = self.timestep_sampler.sample(len(x_0))
        loss = self.process.training_loss(
            self.denoiser,
            x_0,
            target,
            timesteps.t,
            self.noise(x_0),
            wants_x_0_hat=wants_x_0_hat,
        )
        self.timestep_sampler.update(timesteps.t, loss.per_row.detach())
        return (loss.per_row / timesteps.importance.to(x_0.dtype)).mean(), loss.x_0_hat

    def _build_cache(self) -> _ScoringCache:
        """Return the results that the scores of all users share."""
        columns = shortcut = None
        if self.autoencoder is not None:
            columns = self.autoencoder.first_layers()
        elif self._is_sparse_start:
            columns = self.denoiser.input_weight.T.contiguous()
        if self._is_exactly_linear:
            shortcut = build_shortcut(self.process, self.denoiser, self.chain_dtype)
        return _ScoringCache(shortcut, columns)

    def _denoise(
        self,
        cache: _ScoringCache,
        x_0: Tensor,
        history_at: Callable[[int], Tensor] | None,
        draw: Draw,
    ) -> Tensor:
        """Run the chain from `x_0`; `history_at` gives each step's history if steps differ."""
        process, denoiser = self.process, self.denoiser
        x_t, share = process.noise_history(x_0, draw), process.history_share
        if cache.shortcut is None:
            scaled_history = None if history_at is None else lambda step: share * history_at(step)
            return process.reverse_chain(denoiser, x_t, scaled_history, draw)
        products, matrix = None, denoiser.input_weight
        if history_at is not None:
            products = share * self._stack_steps(lambda step: F.linear(history_at(step), matrix))
        product = F.linear(x_t, matrix)
        end = collapsed_chain(process, denoiser, product, cache.shortcut, products)
        if history_at is not None and end.history_scale != 0:
            x_t = x_t + share * (history_at(0) - x_0)
        return finish_chain(denoiser, end, x_t)

    def _scores_from_sparse(self, query: WeightedHistory) -> Tensor:
        cache = self._cache or self._build_cache()
        assert cache.columns is not None
        assert cache.shortcut is not None
        columns, products = cache.columns, None
        if query.differs_by_step:
            products = self._stack_steps(lambda step: query.times(columns, step))
        product = query.times(columns, -1) if products is None else products[-1]
        end = collapsed_chain(self.process, self.denoiser, product, cache.shortcut, products)
        return finish_chain(self.denoiser, end, None if end.history_scale == 0 else query.dense(0))

    def _stack_steps(self, compute: Callable[[int], Tensor]) -> Tensor:
        return torch.stack([compute(step) for step in range(self.process.num_steps)])


def _build_sampler(config: RecommenderConfig) -> UniformTimestepSampler | ImportanceTimestepSampler:
    steps = config.diffusion.num_steps
    temporal = config.temporal
    if temporal.learns_steps:
        return LearnedTimestepSampler(
            steps,
            per_step=temporal.per_step,
            init=temporal.ltw_init,
            raw=temporal.ltw_parametrisation == "raw",
            newest_last=temporal.ltw_order == "newest_last",
        )
    if config.diffusion.timestep_sampler == "importance":
        return ImportanceTimestepSampler(steps)
    return UniformTimestepSampler(steps)
