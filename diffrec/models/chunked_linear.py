"""Linear layer whose weight gradient comes in chunks; ours, since torch's hooks get all of it.

On amazon-book's shape a layer of 178,181 items by 1,000 units weighs 0.7 GB, and so does its
gradient. With a `grad_consumer` the gradient is computed a few rows at a time and passed to it, and
`weight.grad` stays empty. torch's hooks get a gradient as a whole, which would exceed the budget of
6 GB (benchmarks/memory.py).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GradConsumer = Callable[[Iterable[tuple[slice, Tensor]]], None]
"""Function that uses up a gradient given as (rows, gradient of these rows), every row once."""

CHUNK_BYTES = 2**26
"""Bytes of the gradient at a time; larger chunks read the layer's input less often."""


class ChunkedLinear(nn.Linear):
    """nn.Linear with an optional consumer of the weight's gradient."""

    grad_consumer: GradConsumer | None = None
    """Function that receives the weight's gradient in chunks; None: `weight.grad`, as usual."""

    def forward(self, input: Tensor) -> Tensor:
        """Return input @ weight^T + bias."""
        return self._product(input, self.bias)

    def product(self, input: Tensor) -> Tensor:
        """Return input @ weight^T."""
        return self._product(input, None)

    def _product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.grad_consumer is None or not torch.is_grad_enabled():
            return F.linear(x, self.weight, bias)
        return _ChunkedWeightGrad.apply(x, self.weight, bias, self.grad_consumer)  # type: ignore[return-value]


class _ChunkedWeightGrad(torch.autograd.Function):
    """Function like F.linear whose backward passes the weight's gradient to a consumer."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, grad_consumer: GradConsumer
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.grad_consumer = grad_consumer
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        grad_x = gradient @ weight.to(gradient.dtype) if ctx.needs_input_grad[0] else None
        grad_bias = gradient.sum(dim=0) if ctx.needs_input_grad[2] else None
        # The consumer changes the weight: nothing may need it after this.
        ctx.grad_consumer(_grad_chunks(gradient, x, weight))
        return grad_x, None, grad_bias, None


def _grad_chunks(gradient: Tensor, x: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor]]:
    x = x.to(gradient.dtype)
    step = max(1, CHUNK_BYTES // (weight.element_size() * weight.shape[1]))
    buffer = gradient.new_empty(min(step, len(weight)), weight.shape[1])
    for start in range(0, len(weight), step):
        rows = slice(start, min(start + step, len(weight)))
        chunk = buffer[: rows.stop - rows.start]
        torch.mm(gradient[:, rows].T, x, out=chunk)
        yield rows, chunk.to(weight.dtype)
