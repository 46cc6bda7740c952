"""The reverse chain run in the hidden layer: exact, and almost free.

Without noise each step is linear in x_t and in the network's output: x_{t-1} = a_t x_t + b_t f_t
with f_t = W_o h_t + b_o. So the first layer's product p_t = W_x x_t obeys
p_{t-1} = a_t p_t + b_t (M h_t + u), with M = W_x W_o and u = W_x b_o computed once. A chain of T
steps needs one product with W_x at its start, T small steps, and one product with W_o at its end,
in place of 2T products over all items.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec.diffusion.process import GaussianProcess


class HiddenSteps(Protocol):
    """What the collapsed chain needs of a denoiser: its first and last products, and between."""

    @property
    def input_weight(self) -> Tensor:
        """W_x, shape (first_hidden, dim)."""
        ...

    @property
    def output_weight(self) -> Tensor:
        """W_o, shape (dim, last_hidden)."""
        ...

    @property
    def output_bias(self) -> Tensor:
        """b_o, shape (dim,)."""
        ...

    def hidden(self, product: Tensor, t: Tensor) -> Tensor:
        """Return h_t, shape (batch, last_hidden), from W_x x_t of shape (batch, first_hidden)."""
        ...


class ChainEnd(NamedTuple):
    """x_0_hat = hidden @ W_o^T + bias_scale * b_o + history_scale * x_T."""

    hidden: Tensor
    bias_scale: float
    history_scale: float


def collapsed_chain(process: GaussianProcess, network: HiddenSteps, product: Tensor) -> ChainEnd:
    """Run all T steps from W_x x_T, shape (batch, first_hidden), and return the chain's end."""
    a, b = (values.tolist() for values in process.linear_steps())
    mixed = network.input_weight @ network.output_weight
    shift = F.linear(network.output_bias, network.input_weight)
    end: Tensor = product.new_zeros(())
    bias_scale, history_scale = 0.0, 1.0
    for step in reversed(range(process.num_steps)):
        t = torch.full((len(product),), step, dtype=torch.long, device=product.device)
        hidden = network.hidden(product, t)
        product = a[step] * product + b[step] * torch.addmm(shift, hidden, mixed.T)
        end = a[step] * end + b[step] * hidden
        bias_scale = a[step] * bias_scale + b[step]
        history_scale = a[step] * history_scale
    return ChainEnd(end, bias_scale, history_scale)


def finish_chain(network: HiddenSteps, end: ChainEnd, x_t: Tensor | None) -> Tensor:
    """Return x_0_hat, shape (batch, dim); `x_t` is needed where `end.history_scale` is not 0."""
    scores = torch.addmm(end.bias_scale * network.output_bias, end.hidden, network.output_weight.T)
    if end.history_scale == 0:
        return scores
    assert x_t is not None
    return scores + end.history_scale * x_t
