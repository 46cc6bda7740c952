"""Fits the learned temporal weights W after each epoch and records their trajectory."""

import logging
from typing import Any

import numpy as np

from diffrec.data.interactions import Interactions
from diffrec.diffusion.timesteps import WINDOW
from diffrec.models.monotone_recency import MonotoneRecencyCurve
from diffrec.models.recency import KNOT_AGES
from diffrec.models.recommender import DiffusionRecommender
from diffrec.runtime.seeding import generator
from diffrec.training.adamw import AdamW

logger = logging.getLogger(__name__)

MAX_SNAPSHOTS = 128
"""Largest number of snapshots of W in a run."""


def holdout_mask(train: Interactions, share: float, seed: int) -> np.ndarray:
    """Return a mask of the users that only W is fitted on, (num_users,), equal at every call."""
    mask = np.zeros(train.num_users, dtype=bool)
    if share > 0:
        users = np.flatnonzero(train.lengths >= 2)
        count = min(max(1, round(share * len(users))), max(len(users) - 1, 0))
        mask[generator(seed, "future_holdout").choice(users, count, replace=False)] = True
    return mask


def fit_recency_weights(
    model: DiffusionRecommender,
    optimizer: AdamW,
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


class WeightTrajectory:
    """Snapshots of a model's W over the epochs of its run, at most `MAX_SNAPSHOTS`."""

    def __init__(self, model: DiffusionRecommender, lengths: np.ndarray | None = None) -> None:
        self._model, self._lengths = model, lengths
        self.snapshots: list[tuple[int, list[list[float]]]] = []
        self.record(0)

    def record(self, epoch: int) -> None:
        """Add a snapshot of W, if there is one, and warn if W has collapsed."""
        weights = self._model.learned_weights()
        if weights is None:
            return
        self.snapshots.append(
            (epoch, [[float(f"{w:.5g}") for w in row] for row in weights.tolist()])
        )
        if len(self.snapshots) > MAX_SNAPSHOTS:  # halve the past, keep the start and now
            self.snapshots = [*self.snapshots[:-1:2], self.snapshots[-1]]
        warning = self._model.check_collapse(self._lengths)
        if warning is not None:
            logger.warning("Epoch %d: %s", epoch, warning)

    def to_json(self) -> dict[str, Any] | None:
        """Return the trajectory for the trial's record (`tune_runner.schema.WEIGHTS_FILE`)."""
        if not self.snapshots:
            return None
        temporal, steps = self._model.config.temporal, self._model.process.num_steps
        by_age = temporal.weighting == "learned_recency"
        slots = list(range(WINDOW))  # 0 is the newest loss, whichever column weighs it
        if temporal.ltw_order == "newest_last":
            slots.reverse()
        columns = {"ages": list(KNOT_AGES)} if by_age else {"slots": slots}
        return {
            "weighting": temporal.weighting,
            "epochs": [epoch for epoch, _ in self.snapshots],
            "steps": list(range(steps)) if temporal.per_step else None,
            **columns,
            "weights": [weights for _, weights in self.snapshots],
        }
