"""Estimates the memory of training from layers' widths; nothing is built, torch is not imported."""

from collections.abc import Sequence
from itertools import pairwise

FLOAT_BYTES = 4
COPIES = 5
"""Copies of every weight: itself, its gradient, Adam's two moments, the best-validation state."""

WIDE_COPIES = 3
"""Copies of a wide denoiser's weights: the gradient comes in pieces, the best state is a file."""

WIDE_BYTES = 2**26
"""See diffrec.training.run.WIDE_BYTES; that module needs torch."""

ACTIVATIONS = 8
"""Tensors of a layer's output that training keeps or makes: noise, dropout mask, gradients."""

ITEM_ACTIVATIONS = 2
"""Tensors of an item space without an autoencoder, both ends of the network counted: noise, x_t and
the dropped-out x_t share one tensor; history, output and the output's gradient are three more."""

_GRAM_COPIES = 3
"""Copies of a float64 Gram matrix while EASE inverts it."""

Widths = Sequence[Sequence[int]]
"""Widths from input to output of each chain of layers."""


def num_weights(widths: Widths) -> int:
    """Return the number of entries of all weight matrices and biases of the layers."""
    return sum(below * above + above for layers in widths for below, above in pairwise(layers))


def trained_bytes(
    widths: Widths, rows: int, *, copies: int = COPIES, activations: int = ACTIVATIONS
) -> float:
    """Return the estimate for layers that are trained on batches of `rows` users."""
    outputs = sum(map(sum, widths))
    return float(FLOAT_BYTES * (copies * num_weights(widths) + activations * rows * outputs))


def gram_bytes(num_items: int) -> float:
    """Return the estimate for solving with a Gram matrix of the items."""
    return _GRAM_COPIES * 8.0 * num_items**2
