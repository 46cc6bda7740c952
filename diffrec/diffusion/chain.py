"""Reverse chain computed in the hidden layer; ours: exact, and 6 to 9 times faster.

Without noise each step is linear in x_t and in the network's output: x_{t-1} = a_t x_t + b_t f_t
with f_t = W_o h_t + b_o. So the first layer's product p_t = W_x x_t obeys
p_{t-1} = a_t p_t + b_t (M h_t + u), with M = W_x W_o and u = W_x b_o computed once for all users. A
chain of T steps needs one product with W_x at its start, T small steps, and one product with W_o at
its end, in place of 2T products over all items (measured by benchmarks/chain.py).
"""

from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.runtime.devices import to_device

_ROWS_ON_CPU = 256
"""Users per chunk on a CPU, so that their hidden layers stay in its cache."""


class LinearChain(Protocol):
    """Process whose steps are linear in x_t and in the network's output."""

    num_steps: int

    def linear_steps(self) -> tuple[list[float], list[float]]:
        """Return (a, b), num_steps numbers each: step t is x_{t-1} = a_t x_t + b_t f(x_t)."""
        ...


class ChainNetwork(nn.Module):
    """Denoiser whose first and last layers are available as matrices."""

    layers: nn.ModuleList
    """Linear layers after the first one; the last is the output layer."""

    @property
    def input_weight(self) -> Tensor:
        """W_x: columns of the first layer for x_t, shape (first_hidden, dim)."""
        raise NotImplementedError

    def step_bias(self, t: Tensor) -> Tensor:
        """Return the first layer's summand beside W_x x_t at steps t, (len(t), first_hidden)."""
        raise NotImplementedError

    def between(self, first: Tensor) -> Tensor:
        """Return h_t, (batch, last_hidden), from the first layer's sum, (batch, first_hidden)."""
        raise NotImplementedError

    @property
    def last(self) -> nn.Linear:
        """Output layer."""
        layer = self.layers[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    @property
    def output_weight(self) -> Tensor:
        """W_o, shape (dim, last_hidden)."""
        return self.last.weight

    @property
    def output_bias(self) -> Tensor:
        """b_o, shape (dim,)."""
        return self.last.bias


class Shortcut(NamedTuple):
    """M = W_x W_o, (first_hidden, last_hidden), and each step's bias, (num_steps, first_hidden).

    M may have a shorter dtype: the chain then multiplies in it and adds in float32.
    """

    matrix: Tensor
    biases: Tensor


class ChainEnd(NamedTuple):
    """Terms of x_0_hat = hidden @ W_o^T + bias_scale * b_o + history_scale * x_T."""

    hidden: Tensor
    bias_scale: float
    history_scale: float


def build_shortcut(
    process: LinearChain, network: ChainNetwork, dtype: torch.dtype | None = None
) -> Shortcut:
    """Return the product of the output and the input layer, which all users share.

    Args:
        process: the chain's coefficients.
        network: the denoiser; no weight may change while the result is used.
        dtype: dtype of the chain's products; None: that of the weights.
    """
    matrix = network.input_weight @ network.output_weight
    shift = F.linear(network.output_bias, network.input_weight)
    return Shortcut(matrix.to(dtype or matrix.dtype), _first_layer_biases(process, network, shift))


def collapsed_chain(
    process: LinearChain,
    network: ChainNetwork,
    product: Tensor,
    shortcut: Shortcut,
    histories: Tensor | None = None,
) -> ChainEnd:
    """Run all T steps and return the chain's end.

    Args:
        process: the chain's coefficients.
        network: the denoiser.
        product: W_x x_T, shape (batch, first_hidden).
        shortcut: `build_shortcut` of the network.
        histories: W_x times the history of each step, shape (num_steps, batch, first_hidden), if
            steps have their own weights (`GaussianProcess.reverse_chain`).
    """
    a, b = process.linear_steps()
    # x_0_hat = sum_t shares_t f_t + history_scale x_T; with the x_0 target only step 0 is left
    cumulative = [1.0]
    for value in a[:-1]:
        cumulative.append(cumulative[-1] * value)
    shares = [value * share for value, share in zip(b, cumulative, strict=True)]
    rows = len(product) if product.is_cuda else _ROWS_ON_CPU
    parts = product.split(rows)
    history_parts = [None] * len(parts) if histories is None else histories.split(rows, dim=1)
    ends = [
        _run_steps(part, network, shortcut, a, b, shares, part_histories)
        for part, part_histories in zip(parts, history_parts, strict=True)
    ]
    return ChainEnd(torch.cat(ends), sum(shares), cumulative[-1] * a[-1])


def finish_chain(network: ChainNetwork, end: ChainEnd, x_t: Tensor | None) -> Tensor:
    """Return x_0_hat, shape (batch, dim); `x_t` is needed unless `end.history_scale` is 0."""
    scores = torch.addmm(end.bias_scale * network.output_bias, end.hidden, network.output_weight.T)
    if end.history_scale == 0:
        return scores
    assert x_t is not None
    return scores + end.history_scale * x_t


def _first_layer_biases(process: LinearChain, network: ChainNetwork, shift: Tensor) -> Tensor:
    """Return the summand of the running product at each step, shape (num_steps, first_hidden).

    The accumulated multiples of u = W_x b_o, `shift`, are the same for every user, so they are
    added to the step's embedding here instead of to every user's product.
    """
    a, b = process.linear_steps()
    multiples = [0.0] * process.num_steps
    for step in range(process.num_steps - 1, 0, -1):
        multiples[step - 1] = a[step] * multiples[step] + b[step]
    steps = torch.arange(process.num_steps, device=shift.device)
    accumulated = to_device(np.array(multiples), shift.device).to(shift.dtype)
    return network.step_bias(steps) + accumulated[:, None] * shift


def _run_steps(
    product: Tensor,
    network: ChainNetwork,
    shortcut: Shortcut,
    a: list[float],
    b: list[float],
    shares: list[float],
    histories: Tensor | None,
) -> Tensor:
    """Return the sum of shares_t h_t over the chain, shape (batch, last_hidden)."""
    matrix, biases = shortcut
    end: Tensor | None = None
    history_factor = 1.0  # factor of the history
    product = product.clone()  # `_step` overwrites it
    # layers that enter x_0_hat are float32, whatever M's dtype
    autocast = partial(torch.autocast, product.device.type, dtype=matrix.dtype, cache_enabled=False)
    for step in reversed(range(len(a))):
        with autocast(enabled=matrix.dtype != product.dtype and shares[step] == 0):
            hidden = network.between(product + biases[step])
        if shares[step] != 0:
            part = shares[step] * hidden
            end = part if end is None else end + part
        if step > 0:
            product = _step(product, hidden, matrix, a[step], b[step])
            history_factor *= a[step]
            if histories is not None:
                product = product + history_factor * (histories[step - 1] - histories[step])
    assert end is not None
    return end


def _step(product: Tensor, hidden: Tensor, matrix: Tensor, a: float, b: float) -> Tensor:
    """Return a p_t + b M h_t in float32, whatever M's dtype; overwrites p_t without gradients."""
    if not torch.is_grad_enabled():
        if matrix.dtype == product.dtype:
            return product.addmm_(hidden, matrix.T, beta=a, alpha=b)
        return product.mul_(a).add_(hidden.to(matrix.dtype) @ matrix.T, alpha=b)
    if matrix.dtype == product.dtype:
        return torch.addmm(product, hidden, matrix.T, beta=a, alpha=b)
    return (a * product).add(hidden.to(matrix.dtype) @ matrix.T, alpha=b)
