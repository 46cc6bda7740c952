"""Losses of a forecast against a sparse future, per row, without a dense target."""

import math
from typing import Any

import torch
from torch import Tensor, nn
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
    masked_cells = None if seen is None else to_device(seen.cells(num_items), device)
    rows, cells = to_device(future.rows(), device), to_device(future.cells(num_items), device)
    return _Multinomial.apply(logits, masked_cells, rows, cells, to_device(future.weights, device))  # type: ignore[return-value]


def sampled_multinomial_losses(
    hidden: Tensor, last: nn.Linear, future: WeightedRows, seen: WeightedRows | None, count: int
) -> Tensor:
    """Return `multinomial_losses` with an estimate of the sum over all items, shape (batch,).

    The sum runs over all items of the batch's futures and over `count` others, drawn uniformly
    without replacement and each counted as many times as makes the sum unbiased. Memory and time
    no longer grow with the items, the weights aside.

    Args:
        hidden: input of the output layer, shape (batch, units).
        last: the output layer.
        future: x_0, a row each.
        seen: items that are no candidates; None: all items are.
        count: other items to draw, from torch's generator of the device.
    """
    num_items, device = last.out_features, hidden.device
    shuffled = torch.randperm(num_items, device=device)
    is_future = torch.zeros(num_items, dtype=torch.bool, device=device)
    is_future[to_device(future.items, device)] = True
    candidates = shuffled[~is_future[shuffled]]
    negatives = candidates[:count]
    columns = torch.cat([torch.nonzero(is_future).squeeze(1), negatives])
    column_of = torch.full((num_items,), -1, dtype=torch.long, device=device)
    column_of[columns] = torch.arange(len(columns), device=device)
    logits = F.linear(hidden, last.weight[columns], last.bias[columns])
    if len(negatives):
        log_counts = torch.zeros_like(columns, dtype=logits.dtype)
        log_counts[-len(negatives) :] = math.log(len(candidates) / len(negatives))
        logits = logits + log_counts
    rows, items = to_device(future.rows(), device), to_device(future.items, device)
    cells = rows * len(columns) + column_of[items]
    masked_cells = None
    if seen is not None:
        column = column_of[to_device(seen.items, device)]
        is_kept = column >= 0
        masked_cells = (to_device(seen.rows(), device) * len(columns) + column)[is_kept]
    return _Multinomial.apply(logits, masked_cells, rows, cells, to_device(future.weights, device))  # type: ignore[return-value]


def squared_error_losses(output: Tensor, future: WeightedRows, seen: WeightedRows | None) -> Tensor:
    """Return the mean over items of (x_0 - output)^2 of each row, shape (batch,).

    Items of `seen` count as no error. Arguments are those of `multinomial_losses`.
    """
    num_items, device = output.shape[1], output.device
    flat = mask_items(output, seen).reshape(-1)
    cells, weights = to_device(future.cells(num_items), device), to_device(future.weights, device)
    difference = flat.index_add(0, cells, weights, alpha=-1).view_as(output)
    return difference.square().mean(dim=1)


def mask_items(output: Tensor, seen: WeightedRows | None, value: float = 0.0) -> Tensor:
    """Return a copy of `output`, (batch, num_items), with `value` in place of seen items."""
    if seen is None:
        return output
    cells = to_device(seen.cells(output.shape[1]), output.device)
    return output.reshape(-1).index_fill(0, cells, value).view_as(output)


def forecast_distribution(logits: Tensor, seen: WeightedRows | None) -> Tensor:
    """Return softmax over the candidates, shape (batch, num_items): x_0_hat of the multinomial."""
    return F.softmax(mask_items(logits, seen, -torch.inf), dim=-1)


class _Multinomial(torch.autograd.Function):
    """Keeps the logits alone, and turns them into their own gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        masked_cells: Tensor | None,
        rows: Tensor,
        cells: Tensor,
        x_0: Tensor,
    ) -> Tensor:
        scores = logits.detach()
        flat = scores.view(-1)
        if masked_cells is not None:
            flat.index_fill_(0, masked_cells, -torch.inf)
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
