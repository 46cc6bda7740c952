"""Trajectory of the learned temporal weights W over the epochs of a run."""

import logging
from typing import Any

import numpy as np
import torch

from diffrec.errors import UserError
from diffrec.models.base import Recommender

logger = logging.getLogger(__name__)

MAX_SNAPSHOTS = 128
"""Largest number of snapshots of W in a run."""


class WeightTrajectory:
    """Snapshots of a model's W over the epochs of its run, at most `MAX_SNAPSHOTS`."""

    def __init__(self, model: Recommender, lengths: np.ndarray | None = None) -> None:
        self._model, self._lengths = model, lengths
        self.snapshots: list[tuple[int, list[list[float]]]] = []
        self.record(0)

    def record(self, epoch: int) -> None:
        """Add a snapshot of W, if there is one, and warn if W has collapsed.

        Raises:
            UserError: a recommender from outside returns something else.
        """
        weights = self._model.learned_weights()
        if weights is None:
            return
        self._check(weights)
        self.snapshots.append(
            (epoch, [[float(f"{w:.5g}") for w in row] for row in weights.tolist()])
        )
        if len(self.snapshots) > MAX_SNAPSHOTS:  # halve the past, keep the start and now
            self.snapshots = [*self.snapshots[:-1:2], self.snapshots[-1]]
        warning = self._model.check_collapse(self._lengths)
        if warning is not None:
            logger.warning("Epoch %d: %s", epoch, warning)

    def _check(self, weights: object) -> None:
        """Refuse what is no matrix of finite numbers, or has not a column for each age or slot."""
        name, rule = type(self._model).__name__, "a floating-point tensor (rows, columns)"
        if not isinstance(weights, torch.Tensor):
            raise UserError(
                f"`learned_weights` of {name} must return {rule}, but got "
                f"{type(weights).__name__}; mend it."
            )
        shape = list(weights.shape)
        fits = len(shape) == 2 and weights.numel() > 0 and weights.is_floating_point()
        if not fits or not bool(torch.isfinite(weights).all()):
            raise UserError(
                f"`learned_weights` of {name} must return {rule} of finite numbers, but got "
                f"{weights.dtype} of shape {shape}; mend it."
            )
        header = self._model.describe_weights()
        places = header.get("ages", header.get("slots", range(shape[1])))
        if len(places) != shape[1]:
            raise UserError(
                f"`describe_weights` of {name} must have an entry of `ages` or `slots` for each of "
                f"the {shape[1]} columns of `learned_weights`, but has {len(places)}; mend it."
            )

    def to_json(self) -> dict[str, Any] | None:
        """Return the trajectory for the trial's record (`tune_runner.schema.WEIGHTS_FILE`)."""
        if not self.snapshots:
            return None
        columns = len(self.snapshots[0][1][0])
        header = {"weighting": self._model.config.variant, **self._model.describe_weights()}
        if not {"ages", "slots"} & header.keys():
            header["slots"] = list(range(columns))
        return {
            "weighting": header.pop("weighting"),
            "epochs": [epoch for epoch, _ in self.snapshots],
            **header,
            "weights": [weights for _, weights in self.snapshots],
        }
