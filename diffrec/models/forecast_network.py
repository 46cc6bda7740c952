"""Forecasting network from a sparse weighted past to a score per item, or to a latent.

Its first layer is stored by item, so that a past of 32 items costs 32 rows of it for any number of
items.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from diffrec.config.forecasting import ForecastDenoiserConfig
from diffrec.data.cuts import WeightedRows
from diffrec.diffusion.chain import ChainNetwork
from diffrec.models.denoiser import tanh
from diffrec.models.dropout import Dropout
from diffrec.models.weighted_history import weighted_sums
from diffrec.runtime.devices import to_device


class ForecastDenoiser(ChainNetwork):
    """Network f(x_t, t) = W_o dropout(tanh(... dropout(tanh(W_x x_t + b_t)))) + b_o.

    Callers compute W_x x_t themselves (`product`, `product_of`), since in a chain it can be carried
    from step to step. `b_t` is a vector for each step: with one step, the layer's bias.
    """

    def __init__(self, dim: int, num_steps: int, config: ForecastDenoiserConfig) -> None:
        super().__init__()
        sizes = [*reversed(config.hidden_dims), *config.hidden_dims[1:], dim]
        std = math.sqrt(2 / (dim + sizes[0]))
        self.input_rows = nn.Parameter(torch.randn(dim, sizes[0]) * config.input_init_scale * std)
        self.step_biases = nn.Parameter(torch.zeros(num_steps, sizes[0]))
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def dim(self) -> int:
        """Width of x_t."""
        return len(self.input_rows)

    def product(self, x: Tensor) -> Tensor:
        """Return W_x x, from (batch, dim) to (batch, first_hidden)."""
        return x @ self.input_rows

    def product_of(self, rows: WeightedRows) -> Tensor:
        """Return W_x x for sparse rows, shape (num_rows, first_hidden); nothing is made dense."""
        return bag(rows, self.input_rows)

    def forward(self, product: Tensor, t: Tensor) -> Tensor:
        """Return the prediction, shape (batch, dim).

        Args:
            product: W_x x_t, shape (batch, first_hidden).
            t: zero-based steps, shape (batch,).
        """
        return self.last(self.between(product + self.step_bias(t)))

    def step_bias(self, t: Tensor) -> Tensor:
        """Return b_t, (len(t), first_hidden)."""
        return self.step_biases[t]

    def between(self, first: Tensor) -> Tensor:
        """Return h_t, (batch, last_hidden)."""
        hidden = self.dropout(tanh(first))
        for layer in list(self.layers)[:-1]:
            hidden = self.dropout(tanh(layer(hidden)))
        return hidden

    @property
    def input_weight(self) -> Tensor:
        """W_x, shape (first_hidden, dim)."""
        return self.input_rows.T


def bag(rows: WeightedRows, matrix: Tensor) -> Tensor:
    """Return rows @ matrix, from (num_items, width) to (num_rows, width)."""
    return weighted_sums(rows.items, rows.indptr, rows.weights, matrix)


def dense(rows: WeightedRows, num_items: int, device: torch.device) -> Tensor:
    """Return the rows as float32 vectors, shape (num_rows, num_items)."""
    flat = torch.zeros(rows.num_rows * num_items, device=device)
    flat.scatter_(0, to_device(rows.cells(num_items), device), to_device(rows.weights, device))
    return flat.view(rows.num_rows, num_items)
