"""Brownian bridge between a user's future x_0 and past y: forward marginals, posterior, weights.

The reverse chain starts at the past that the network is queried with and ends at the future, so it
is conditioned on the user without a second input:

    x_T = y + end_noise * e                                              (s_T = 1)
    x_t = (1 - s_t) x_0 + s_t x_T + noise_scale * sqrt(s_t (1 - s_t)) * e'
    E[x_{t-1} | x_t, x_0] = (1 - r_t) x_0 + r_t x_t,   r_t = s_{t-1} / s_t
    Var[x_{t-1} | x_t, x_0] = noise_scale^2 s_{t-1} (s_t - s_{t-1}) / s_t

The posterior is that of the Brownian motion which starts at x_0; since it is Markov, x_T has no
part in it. Steps are zero-based in code: t = 0 is the first step after x_0, with s_{t-1} = 0.

Sources: Li et al., "BBDM: Image-to-image translation with Brownian bridge diffusion models", CVPR
2023 (marginals, section 3.2); Liu et al., "I2SB: Image-to-Image Schroedinger Bridge", ICML 2023
(posterior between clean and degraded ends); Bai et al., "Brownian bridge diffusion for sequential
recommendation", arXiv 2507.06121 (a bridge from the next item's embedding to the history's).
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from diffrec.config.forecasting import BridgeConfig


class BridgeProcess(nn.Module):
    """Coefficients of the bridge, one for each step, float64 buffers of shape (num_steps,)."""

    past_share: Tensor
    """s_t."""

    noise_std: Tensor
    """Standard deviation of x_t around (1 - s_t) x_0 + s_t y."""

    posterior_std: Tensor
    loss_weight: Tensor

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.num_steps = config.num_steps
        self.stochastic_sampling = config.stochastic_sampling
        self.has_noise = config.noise_scale > 0 or config.end_noise > 0
        share = past_shares(config)
        previous = np.concatenate(([0.0], share[:-1]))
        inner_variance = config.noise_scale**2 * share * (1 - share)
        buffers = {
            "past_share": share,
            "noise_std": np.sqrt(inner_variance + (config.end_noise * share) ** 2),
            "posterior_std": config.noise_scale * np.sqrt(previous * (share - previous) / share),
            "loss_weight": np.ones_like(share)
            if config.loss_weighting == "uniform"
            else elbo_weights(share, config.noise_scale),
        }
        for name, value in buffers.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)))
        ratio = previous / share
        self._linear_steps = (ratio.tolist(), (1 - ratio).tolist())

    def linear_steps(self) -> tuple[list[float], list[float]]:
        """Return (a, b), num_steps numbers each: a step's mean is a_t x_t + b_t x_0_hat.

        With a network that predicts x_0 linearly this is all that the collapsed chain needs.
        """
        return self._linear_steps

    def mix(self, x_0: Tensor, past: Tensor, t: Tensor) -> Tensor:
        """Return (1 - s_t) x_0 + s_t past, row by row, shape (batch, dim).

        Both may have been multiplied by a matrix, since mixing is linear.

        Args:
            x_0: the future, shape (batch, dim).
            past: the past, same shape.
            t: zero-based steps, shape (batch,).
        """
        share = self.past_share[t].to(past.dtype).unsqueeze(-1)
        return (1 - share) * x_0 + share * past

    def noise_of(self, noise: Tensor, t: Tensor) -> Tensor:
        """Return standard normal noise, shape (batch, dim), at the deviation of x_t."""
        return self.noise_std[t].to(noise.dtype).unsqueeze(-1) * noise


def past_shares(config: BridgeConfig) -> np.ndarray:
    """Return s_t of every step, shape (num_steps,), float64; strictly rising, the last is 1."""
    fraction = np.arange(1, config.num_steps + 1) / config.num_steps
    if config.schedule == "linear":
        return fraction
    share = (1 - np.cos(math.pi * fraction)) / 2
    share[-1] = 1.0
    return share


def elbo_weights(share: np.ndarray, noise_scale: float) -> np.ndarray:
    """Return each step's weight of |x_0 - x_0_hat|^2 in the evidence bound, (num_steps,), float64.

    The divergence between two Gaussians of one variance is the squared difference of their means
    over twice that variance: (1 / s_{t-1} - 1 / s_t) / (2 noise_scale^2). The first step is a
    likelihood instead, with weight 1, as in `diffrec.diffusion.process.elbo_weights`.
    """
    weights = np.ones_like(share)
    weights[1:] = (1 / share[:-1] - 1 / share[1:]) / (2 * noise_scale**2)
    return weights
