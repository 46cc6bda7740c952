"""Learned weights over the epochs of a trial, as it recorded them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trajectory:
    """Weights W at some epochs: a row per diffusion step (or one for all), a column per place."""

    weighting: str
    """Weighting: `learned_recency`, `learned_steps`, or that of a recommender from outside."""

    epochs: tuple[int, ...]
    places: tuple[float, ...]
    """Ages in items since the user's last interaction, or places in the loss history."""

    values: NDArray[np.float64]
    """Weights, shape (epochs, rows, places)."""

    has_ages: bool = False
    """True if the record names the places as ages."""

    @property
    def is_by_age(self) -> bool:
        """True if a place is an age, so that a weight says how much an old interaction counts."""
        return self.has_ages or self.weighting == "learned_recency"

    @property
    def units(self) -> tuple[NDArray[np.float64], str, tuple[float, ...]]:
        """Return the units that move, (epochs, units, features), a unit's name, and their numbers.

        Units are the diffusion steps if each has a row, else the places of the only row.
        """
        if self.values.shape[1] > 1:
            return self.values, "diffusion step", tuple(range(self.values.shape[1]))
        moved = np.swapaxes(self.values, 1, 2)
        return moved, "age in items" if self.is_by_age else "place in the history", self.places


def from_record(record: Mapping[str, Any]) -> Trajectory | None:
    """Return the trajectory of a trial's artifact; None for one without it."""
    if not record.get("epochs"):
        return None
    places = record.get("ages") or record.get("slots") or ()
    return Trajectory(
        str(record.get("weighting", "")),
        tuple(int(epoch) for epoch in record["epochs"]),
        tuple(float(place) for place in places),
        np.array(record["weights"], dtype=np.float64),
        has_ages=bool(record.get("ages")),
    )
