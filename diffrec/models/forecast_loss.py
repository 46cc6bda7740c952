"""Losses of a forecast against a sparse future, per row, without a dense target."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec.data.cuts import WeightedRows
from diffrec.runtime.devices import to_device


def multinomial_losses(logits: Tensor, future: WeightedRows, seen: WeightedRows | None) -> Tensor:
    """Return -sum_i x_0[i] log softmax(logits)[i] of each row, shape (batch,).

    `logits` are used up: the backward pass writes their gradient into them, so a training step
    holds one matrix over all items and not four.

    Args:
        logits: float32, shape (batch, num_items), contiguous.
        future: x_0, a row each.
        seen: items that are no candidates; None: all items are.
    """
    num_items, device = logits.shape[1], logits.device
    hidden = None if seen is None else to_device(seen.cells(num_items), device)
    rows, cells = to_device(future.rows(), device), to_device(future.cells(num_items), device)
    return _Multinomial.apply(logits, hidden, rows, cells, to_device(future.weights, device))  # type: ignore[return-value]


def squared_error_losses(output: Tensor, future: WeightedRows, seen: WeightedRows | None) -> Tensor:
    """Return the mean over items of (x_0 - output)^2 of each row, shape (batch,).

    Items of `seen` count as no error. Arguments are those of `multinomial_losses`.
    """
    num_items, device = output.shape[1], output.device
    flat = without(output, seen).reshape(-1)
    cells, weights = to_device(future.cells(num_items), device), to_device(future.weights, device)
    difference = flat.index_add(0, cells, weights, alpha=-1).view_as(output)
    return difference.square().mean(dim=1)


def without(output: Tensor, seen: WeightedRows | None, value: float = 0.0) -> Tensor:
    """Return a copy of `output`, (batch, num_items), with `value` in place of seen items."""
    if seen is None:
        return output
    cells = to_device(seen.cells(output.shape[1]), output.device)
    return output.reshape(-1).index_fill(0, cells, value).view_as(output)


def forecast_distribution(logits: Tensor, seen: WeightedRows | None) -> Tensor:
    """Return softmax over the candidates, shape (batch, num_items): x_0_hat of the multinomial."""
    return F.softmax(without(logits, seen, -torch.inf), dim=-1)


class _Multinomial(torch.autograd.Function):
    """Keeps the logits alone, and turns them into their own gradient."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, hidden: Tensor | None, rows: Tensor, cells: Tensor, x_0: Tensor
    ) -> Tensor:
        scores = logits.detach()
        flat = scores.view(-1)
        if hidden is not None:
            flat.index_fill_(0, hidden, -torch.inf)
        log_sum = scores.logsumexp(dim=1)
        total = torch.zeros_like(log_sum).index_add_(0, rows, x_0)
        hit = torch.zeros_like(log_sum).index_add_(0, rows, x_0 * flat[cells])
        ctx.save_for_backward(log_sum, total, rows, cells, x_0)
        ctx.scores = scores
        return log_sum * total - hit

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        log_sum, total, rows, cells, x_0 = ctx.saved_tensors
        scores: Tensor = ctx.scores
        scores.sub_(log_sum.unsqueeze(1)).exp_().mul_((gradient * total).unsqueeze(1))
        scores.view(-1).index_add_(0, cells, -x_0 * gradient[rows])
        return scores, None, None, None, None
