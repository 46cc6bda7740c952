"""The Gaussian process: q(x_t | x_0), the posterior q(x_{t-1} | x_t, x_0), losses, reverse chain.

Steps are zero-based: t = 0 is the paper's step 1. Coefficients are computed in float64 and kept as
buffers, so that they travel with `state_dict` and `.to(device)`.

Source: Wang et al., "Diffusion Recommender Model", SIGIR 2023, sections 3.1 to 3.4.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from diffrec.config import DiffusionConfig
from diffrec.diffusion.schedules import betas

Denoise = Callable[[Tensor, Tensor], Tensor]
"""f_theta: (x_t of shape (batch, dim), t of shape (batch,)) -> (batch, dim); may overwrite x_t."""

Draw = Callable[[Tensor], Tensor]
"""Function that returns standard normal noise like its argument (shape, dtype, device)."""


class DiffusionLoss(NamedTuple):
    """Loss per row, shape (batch,), and the estimate of x_0, shape (batch, dim), if wanted."""

    per_row: Tensor
    x_0_hat: Tensor | None


class GaussianProcess(nn.Module):
    """Forward and reverse diffusion over vectors of any size.

    Without noise (noise_scale = 0) the posterior is taken at its limit: x_{t-1} = x_0_hat.
    """

    alpha_bar: Tensor
    posterior_variance: Tensor
    posterior_coef_x_0: Tensor
    posterior_coef_x_t: Tensor
    loss_weight: Tensor

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.num_steps = config.num_steps
        self.prediction_target = config.prediction_target
        self.num_inference_noise_steps = config.num_inference_noise_steps
        self.stochastic_sampling = config.stochastic_sampling
        self._uniform = config.loss_weighting == "uniform"
        beta = betas(config)
        alpha = 1 - beta
        alpha_bar = np.cumprod(alpha)
        alpha_bar_prev = np.concatenate(([1.0], alpha_bar[:-1]))
        has_noise = alpha_bar < 1
        variance = np.where(has_noise, 1 - alpha_bar, 1.0)
        buffers = {
            "alpha_bar": alpha_bar,
            "posterior_variance": beta * (1 - alpha_bar_prev) / variance,
            "posterior_coef_x_0": np.where(
                has_noise, beta * np.sqrt(alpha_bar_prev) / variance, 1.0
            ),
            "posterior_coef_x_t": np.where(
                has_noise, (1 - alpha_bar_prev) * np.sqrt(alpha) / variance, 0.0
            ),
            "loss_weight": np.ones_like(beta)
            if self._uniform
            else elbo_weights(beta, self.prediction_target),
        }
        for name, value in buffers.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)))
        a, b = buffers["posterior_coef_x_t"], buffers["posterior_coef_x_0"]
        if self.prediction_target == "epsilon":  # x_0_from_epsilon, put into the posterior's mean
            a, b = b / np.sqrt(alpha_bar) + a, -b * np.sqrt(1 / alpha_bar - 1)
        # numbers on the host: reading the buffers from a GPU would stall it
        self._linear_steps = (a.tolist(), b.tolist())
        steps = self.num_inference_noise_steps
        self._history_share = math.sqrt(alpha_bar[steps - 1]) if steps else 1.0

    def q_sample(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Draw x_t ~ q(x_t | x_0): keep sqrt(alpha_bar_t) of the history, add the rest as noise.

        Args:
            x_0: clean vectors, shape (batch, dim).
            t: zero-based steps, shape (batch,).
            noise: standard normal, shape (batch, dim).
        """
        return self._at(self.alpha_bar.sqrt(), t, x_0) * x_0 + (
            self._at((1 - self.alpha_bar).sqrt(), t, x_0) * noise
        )

    def posterior_mean(self, x_0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the mean of q(x_{t-1} | x_t, x_0), shape (batch, dim) (equation 7)."""
        return self._at(self.posterior_coef_x_0, t, x_t) * x_0 + (
            self._at(self.posterior_coef_x_t, t, x_t) * x_t
        )

    def x_0_from_epsilon(self, x_t: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """Invert the forward step: the x_0 of which x_t is the noised version."""
        return (
            self._at(self.alpha_bar.rsqrt(), t, x_t) * x_t
            - self._at((1 / self.alpha_bar - 1).sqrt(), t, x_t) * epsilon
        )

    def training_loss(
        self,
        denoise: Denoise,
        x_0: Tensor,
        target: Tensor,
        t: Tensor,
        noise: Tensor,
        *,
        wants_x_0_hat: bool,
    ) -> DiffusionLoss:
        """Return the weighted squared error of each row, before any division by p_t.

        Args:
            denoise: the network.
            x_0: vectors to noise, shape (batch, dim).
            target: what x_0_hat is compared with, shape (batch, dim); equal to x_0 unless temporal
                weights apply to only one of the two.
            t: zero-based steps, shape (batch,).
            noise: standard normal, shape (batch, dim); the x_0 target overwrites it with x_t.
            wants_x_0_hat: whether to return the estimate of x_0, too: one more matrix.
        """
        weight = self.loss_weight[t].to(x_0.dtype)
        if self.prediction_target == "x_0":
            noise.mul_(self._at((1 - self.alpha_bar).sqrt(), t, x_0))
            x_t = noise.add_(self._at(self.alpha_bar.sqrt(), t, x_0) * x_0)  # q_sample, in place
            output = denoise(x_t, t).to(x_0.dtype)
            if wants_x_0_hat:
                return DiffusionLoss(weight * _mean_square(output - target), output)
            return DiffusionLoss(weight * _mean_square(output.sub_(target)), None)
        x_t = self.q_sample(x_0, t, noise)
        output = denoise(x_t.clone(), t).to(x_0.dtype)
        x_0_hat = self.x_0_from_epsilon(x_t, t, output)
        loss = weight * _mean_square(output - noise)
        if not self._uniform:  # at t = 0 the bound has a likelihood of x_0 instead
            loss = torch.where(t == 0, _mean_square(x_0_hat - target) / 2, loss)
        return DiffusionLoss(loss, x_0_hat if wants_x_0_hat else None)

    @property
    def draws_when_scoring(self) -> bool:
        """True if the reverse chain, or its start, draws noise."""
        return self.stochastic_sampling or self.num_inference_noise_steps > 0

    def noise_history(self, x_0: Tensor, draw: Draw = torch.randn_like) -> Tensor:
        """Return the x_T that the reverse chain starts from: x_0 noised for T' steps, or itself.

        Args:
            x_0: histories, shape (batch, dim).
            draw: source of the noise.
        """
        if self.num_inference_noise_steps == 0:
            return x_0
        t = x_0.new_full((len(x_0),), self.num_inference_noise_steps - 1, dtype=torch.long)
        return self.q_sample(x_0, t, draw(x_0))

    def reverse_chain(
        self,
        denoise: Denoise,
        x_t: Tensor,
        history: Callable[[int], Tensor] | None = None,
        draw: Draw = torch.randn_like,
    ) -> Tensor:
        """Denoise from x_T to x_0_hat, shape (batch, dim) (section 3.4).

        The chain always runs all T steps, even when only T' < T noising steps were applied; this
        is the paper's choice, kept on purpose.

        Args:
            denoise: the network.
            x_t: start of the chain, shape (batch, dim).
            history: step -> the weighted history at that step, shape (batch, dim), if steps differ
                (a W with a row per step). x_t contains s_t times the history,
                s_t = a_{t+1} ... a_{T-1} (`linear_steps`); this part is replaced before step t.
            draw: source of the noise of stochastic sampling.
        """
        previous_history = None if history is None else history(self.num_steps - 1)
        history_factor = 1.0
        for step in reversed(range(self.num_steps)):
            t = x_t.new_full((len(x_t),), step, dtype=torch.long)
            output = denoise(x_t, t)  # 1. predict
            x_0_hat = (
                output if self.prediction_target == "x_0" else self.x_0_from_epsilon(x_t, t, output)
            )
            mean = self.posterior_mean(x_0_hat, x_t, t)  # 2. mean of q(x_{t-1} | x_t, x_0)
            if self.stochastic_sampling and step > 0:  # 3. no noise on the last step
                mean = mean + self.posterior_variance[step].sqrt().to(mean.dtype) * draw(mean)
            x_t = mean
            history_factor *= self._linear_steps[0][step]
            if history is not None and previous_history is not None and step > 0:
                current_history = history(step - 1)
                x_t = x_t + history_factor * (current_history - previous_history)
                previous_history = current_history
        return x_t

    @property
    def history_share(self) -> float:
        """The factor of the history in x_T."""
        return self._history_share

    def linear_steps(self) -> tuple[list[float], list[float]]:
        """Return (a, b), num_steps numbers each: step t is x_{t-1} = a_t x_t + b_t f(x_t).

        Holds without noise in the chain, for both prediction targets.
        """
        return self._linear_steps

    @staticmethod
    def _at(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
        return values[t].to(like.dtype).unsqueeze(-1)


def elbo_weights(beta: np.ndarray, prediction_target: str) -> np.ndarray:
    """Return each step's weight in the evidence bound, shape (num_steps,), float64.

    For x_0: SNR(t-1) - SNR(t), halved by nothing, 1 at t = 0 (equations 9 and 10 as released).
    For epsilon: (1 - alpha_bar_t) / ((1 - alpha_bar_{t-1})^2 (1 - beta_t)), 1 at t = 0.
    """
    alpha_bar = np.cumprod(1 - beta)
    weights = np.ones_like(beta)
    current, previous = alpha_bar[1:], alpha_bar[:-1]
    if prediction_target == "x_0":
        weights[1:] = previous / (1 - previous) - current / (1 - current)
    else:
        weights[1:] = (1 - current) / ((1 - previous) ** 2 * (1 - beta[1:]))
    return weights


def _mean_square(difference: Tensor) -> Tensor:
    """Return the mean square of each row, shape (batch,)."""
    return _MeanSquare.apply(difference)  # type: ignore[return-value]


class _MeanSquare(torch.autograd.Function):
    """Mean square that saves its input alone; torch's losses allocate a second matrix."""

    generate_vmap_rule = True

    @staticmethod
    def forward(difference: Tensor) -> Tensor:
        return torch.linalg.vector_norm(difference, dim=-1).square() / difference.shape[-1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (difference,) = ctx.saved_tensors
        return difference * (gradients[0] * (2 / difference.shape[-1])).unsqueeze(-1)


# torch reads the signature at every call, and inspecting it takes longer than the function itself
_MeanSquare.forward.__signature__ = inspect.signature(_MeanSquare.forward)  # type: ignore[attr-defined]
