"""Weights of interactions by their place in the user's history.

Source: Wang et al., "Diffusion Recommender Model", SIGIR 2023, section 3.6 (linear). Exponential
weights, and weighted queries to a network trained without weights: docs/science/deviations.md.
"""

import numpy as np

from diffrec.config import TemporalConfig
from diffrec.data.decay import half_life_weights
from diffrec.data.interactions import Interactions


def interaction_weights(config: TemporalConfig, history: Interactions) -> np.ndarray | None:
    """Return the weight of every interaction, shape (nnz,), float32; None means ones.

    Linear: the k-th of M interactions has weight_min + (k-1)/(M-1) * (weight_max - weight_min); a
    single interaction has weight_min, as released. Exponential: 0.5 ** (age / half_life), age in
    items since the user's last interaction. With `keep_norm`, each user's vector keeps the L2 norm
    of the binary one.
    """
    if config.history_weighting == "none":
        return None
    if config.history_weighting == "linear":
        assert config.weight_min is not None
        assert config.weight_max is not None
        lengths = np.repeat(history.lengths, history.lengths)
        relative_position = history.positions() / np.maximum(lengths - 1, 1)
        weights = config.weight_min + relative_position * (config.weight_max - config.weight_min)
    else:
        assert config.half_life is not None
        weights = half_life_weights(history.ages(), config.half_life)
    if config.keep_norm:
        weights = keep_norm(weights, history)
    return weights.astype(np.float32)


def keep_norm(weights: np.ndarray, history: Interactions) -> np.ndarray:
    """Rescale each user's weights, shape (nnz,), to the norm of as many ones."""
    users = np.repeat(np.arange(history.num_users), history.lengths)
    squares = np.bincount(users, weights=weights**2, minlength=history.num_users)
    scale = np.sqrt(history.lengths / np.where(squares > 0, squares, 1.0))
    return weights * scale[users]
