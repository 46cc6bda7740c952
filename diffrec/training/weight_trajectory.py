"""Trajectory of the learned temporal weights W over the epochs of a run."""

import logging
from typing import Any

import numpy as np

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
        header = self._model.describe_weights()
        return {
            "weighting": header.pop("weighting"),
            "epochs": [epoch for epoch, _ in self.snapshots],
            **header,
            "weights": [weights for _, weights in self.snapshots],
        }
