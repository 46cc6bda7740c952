"""Learned temporal weights W of the diffusion recommenders: fitted after each epoch, recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from diffrec.config import RecommenderConfig, TrainingConfig
from diffrec.data.interactions import Interactions
from diffrec.diffusion.process import GaussianProcess
from diffrec.diffusion.timesteps import (
    WINDOW,
    ImportanceTimestepSampler,
    LearnedTimestepSampler,
    UniformTimestepSampler,
)
from diffrec.models.base import EpochContext, Holdout, Optimizer
from diffrec.models.clustered import ClusteredRecommender
from diffrec.models.holdout import holdout_mask, visible_lengths
from diffrec.models.monotone_recency import MonotoneRecencyCurve
from diffrec.models.recency import (
    KNOT_AGES,
    RecencyCurve,
    cut_histories,
    future_nll,
    standardise_scores,
)
from diffrec.models.weighted_history import WeightedHistory


class WeightLearner(ClusteredRecommender):
    """Part of the diffusion recommender that learns temporal weights W, if it learns any."""

    config: RecommenderConfig
    recency: RecencyCurve | None
    process: GaussianProcess
    timestep_sampler: ImportanceTimestepSampler | UniformTimestepSampler

    def future_loss(
        self, history: Interactions, rng: np.random.Generator, earliest: np.ndarray | None = None
    ) -> Tensor:
        """Return the negative log-likelihood of the next items given the weighted past, a scalar.

        Call it inside `frozen_except_w`.

        Args:
            history: train interactions of the batch's users.
            rng: where the histories are cut.
            earliest: the shortest past of each user (`cut_histories`).
        """
        temporal = self.config.temporal
        assert self.recency is not None
        assert temporal.future_items is not None
        assert temporal.future_temperature is not None
        past, future = cut_histories(history, temporal.future_items, rng, earliest)
        scores = self._scores(self._query(past))
        return future_nll(standardise_scores(scores) * temporal.future_temperature, past, future)

    @contextmanager
    def frozen_except_w(self) -> Iterator[None]:
        """Freeze all parameters but W, and dropout, so that only W gets a gradient."""
        assert self.recency is not None
        w_ids = {id(p) for p in self.recency.parameters()}
        frozen = [p for p in self.parameters() if id(p) not in w_ids]
        was_training = self.training
        self.eval()
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            with self.cached_scoring():
                yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)
            self.train(was_training)

    def learned_weights(self) -> Tensor | None:
        """Return W, one row or a row per step; None if no weights are learned.

        Columns are the ages `KNOT_AGES`, or the remembered losses, newest first.
        """
        learned = self._learned
        return None if learned is None else learned.knots().detach()

    def describe_weights(self) -> dict[str, Any]:
        """Return the weighting, the steps of the rows, and the ages or slots of the columns."""
        temporal = self.config.temporal
        by_age = temporal.weighting == "learned_recency"
        slots = list(range(WINDOW))  # 0 is the newest loss, whichever column weighs it
        if temporal.ltw_order == "newest_last":
            slots.reverse()
        columns = {"ages": list(KNOT_AGES)} if by_age else {"slots": slots}
        steps = list(range(self.process.num_steps)) if temporal.per_step else None
        return {"weighting": temporal.weighting, "steps": steps, **columns}

    def check_collapse(self, lengths: np.ndarray | None = None) -> str | None:
        """Return a sentence if weights learned on histories of these lengths have collapsed."""
        if self.recency is not None:
            return self.recency.check_collapse(lengths)
        return None if self._learned is None else self._learned.check_collapse()

    def held_out(self, train: Interactions) -> Holdout:
        """Return the users, or the newest interactions of some, that W is fitted on."""
        temporal, seed = self.config.temporal, self.config.seed
        users = holdout_mask(train, temporal.future_holdout, seed)
        return Holdout(users, visible_lengths(temporal, train, users, seed))

    def after_epoch(self, epoch: EpochContext) -> None:
        """Fit the learned recency weights."""
        if self.recency is not None:
            with self.chain_precision(epoch.precision):
                fit_recency_weights(
                    self,
                    epoch.optimizer,
                    epoch.train,
                    epoch.rng("future"),
                    epoch.holdout.users,
                    epoch.holdout.visible_lengths,
                )

    def parameter_groups(self, training: TrainingConfig) -> list[dict[str, Any]]:
        """Add a group for W, without weight decay, which would pull W back to ones."""
        groups = super().parameter_groups(training)
        parts = [part for part in (self.recency, self.timestep_sampler) if part is not None]
        parameters = [p for part in parts for p in part.parameters()]
        if parameters:
            rate = self.config.temporal.ltw_learning_rate
            groups.append({"params": parameters, "lr": rate, "weight_decay": 0.0})
        return groups

    def _scores(self, query: WeightedHistory) -> Tensor:
        raise NotImplementedError

    def _query(self, rows: Interactions) -> WeightedHistory:
        raise NotImplementedError

    @property
    def _learned(self) -> RecencyCurve | LearnedTimestepSampler | None:
        """Module that contains W; None if no weights are learned."""
        sampler = self.timestep_sampler
        return sampler if isinstance(sampler, LearnedTimestepSampler) else self.recency


def fit_recency_weights(
    model: WeightLearner,
    optimizer: Optimizer,
    train: Interactions,
    rng: np.random.Generator,
    holdout: np.ndarray | None = None,
    earliest: np.ndarray | None = None,
) -> None:
    """Update W by the future of a few users, once for `future_every` batches of the epoch.

    W has 14 weights a row and needs few users. The network is frozen meanwhile, so the matrices of
    its chain are computed once (`frozen_except_w`).

    Args:
        model: a recommender with `learned_recency`.
        optimizer: of all its parameters; those without a gradient stay.
        train: train interactions, which the future is cut from.
        rng: source of the sampled users and cuts.
        holdout: mask of the users to fit W on, (num_users,); None or none marked: all.
        earliest: the shortest past of each user, (num_users,): what the network was trained on.
    """
    config, temporal = model.config, model.config.temporal
    assert temporal.future_users is not None
    assert temporal.future_every is not None
    has_future = train.lengths >= 2
    users = np.flatnonzero(
        has_future if holdout is None or not holdout.any() else has_future & holdout
    )
    num_sampled = min(temporal.future_users, len(users))
    if not num_sampled:
        return
    users_for_each = config.training.batch_size * temporal.future_every
    num_updates = -(-np.count_nonzero(train.lengths) // users_for_each)
    with model.frozen_except_w():
        for _ in range(num_updates):
            sampled = rng.choice(users, num_sampled, replace=False)
            optimizer.zero_grad()
            shortest = None if earliest is None else earliest[sampled]
            loss = model.future_loss(train.select_users(sampled), rng, shortest)
            if isinstance(model.recency, MonotoneRecencyCurve):
                loss = loss + model.recency.penalty() / len(users)
            loss.backward()
            optimizer.step()
