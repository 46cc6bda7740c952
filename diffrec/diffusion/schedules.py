"""Noise schedules: pure functions that return the variances beta_t in float64, shape (num_steps,).

Source: Wang et al., "Diffusion Recommender Model", SIGIR 2023, section 3.1 (linear variance);
Ho et al. 2020 (linear); Nichol and Dhariwal 2021 (cosine); Sohl-Dickstein et al. 2015 (binomial).
"""

import math

import numpy as np

from diffrec.config import DiffusionConfig
from diffrec.errors import UserError

MAX_BETA = 0.999
PINNED_FIRST_BETA = 1e-5


def linear_schedule(num_steps: int, *, scale: float, low: float, high: float) -> np.ndarray:
    """Return beta rising linearly from scale*low to scale*high."""
    _check_bounds(low, high)
    return np.linspace(scale * low, scale * high, num_steps, dtype=np.float64)


def linear_variance_schedule(
    num_steps: int, *, scale: float, low: float, high: float
) -> np.ndarray:
    """Return beta such that 1 - alpha_bar rises linearly from scale*low to scale*high."""
    _check_bounds(low, high)
    alpha_bar = 1 - scale * np.linspace(low, high, num_steps, dtype=np.float64)
    return np.minimum(1 - alpha_bar / np.concatenate(([1.0], alpha_bar[:-1])), MAX_BETA)


def cosine_schedule(num_steps: int) -> np.ndarray:
    """Return beta of alpha_bar(u) = cos^2((u + 0.008) / 1.008 * pi / 2), capped at 0.999."""

    def alpha_bar(u: np.ndarray) -> np.ndarray:
        return np.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    u = np.arange(num_steps + 1, dtype=np.float64) / num_steps
    return np.minimum(1 - alpha_bar(u[1:]) / alpha_bar(u[:-1]), MAX_BETA)


def binomial_schedule(num_steps: int) -> np.ndarray:
    """Return beta_t = 1 / (T - t + 1) for t = 0 .. T-1."""
    return 1.0 / (num_steps - np.arange(num_steps, dtype=np.float64) + 1)


def betas(config: DiffusionConfig) -> np.ndarray:
    """Return the variances that `config` asks for, the first pinned if it says so.

    Without noise (noise_scale = 0) nothing is pinned: there is no first variance to protect.
    """
    if config.beta_schedule == "cosine":
        beta = cosine_schedule(config.num_steps)
    elif config.beta_schedule == "binomial":
        beta = binomial_schedule(config.num_steps)
    else:
        family = linear_schedule if config.beta_schedule == "linear" else linear_variance_schedule
        scale, low, high = config.noise_scale, config.noise_min, config.noise_max
        assert scale is not None  # the config has checked all three
        assert low is not None
        assert high is not None
        beta = family(config.num_steps, scale=scale, low=low, high=high)
    if config.pin_first_beta and config.noise_scale != 0:
        beta[0] = PINNED_FIRST_BETA
    return beta


def _check_bounds(low: float, high: float) -> None:
    if not 0 < low <= high:
        raise UserError(
            f"`0 < noise_min <= noise_max` must hold, but got noise_min={low} and "
            f"noise_max={high}; exchange or change them."
        )
