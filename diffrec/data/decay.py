"""Exponential decay of weights by age, in the one formula that every model uses."""

import numpy as np


def half_life_weights(ages: np.ndarray, half_life: float) -> np.ndarray:
    """Return 0.5 ** (age / half_life), float64, in the shape of `ages` (items since then)."""
    return 0.5 ** (ages / half_life)
