"""Batches of weighted user histories, as dense rows or as the factor of a sparse product."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec.data.interactions import Interactions
from diffrec.runtime.devices import rows_on, to_device


class WeightedHistory:
    """Histories of a batch with the weights of their interactions at each diffusion step."""

    def __init__(
        self, rows: Interactions, weights: Sequence[Tensor | None], device: torch.device
    ) -> None:
        """Copy the histories to the network's device.

        Args:
            rows: histories, one row per user.
            weights: weight of each interaction, (nnz,), or None for ones; a single entry for all
                steps, or one for each.
            device: device of the network.
        """
        self._rows, self._weights, self._device = rows, weights, device
        self._items = to_device(rows.indices.astype(np.int64), device)
        self._starts = to_device(rows.indptr[:-1].copy(), device)
        self._cells: Tensor | None = None

    @property
    def differs_by_step(self) -> bool:
        """True if each step has its own weights."""
        return len(self._weights) > 1

    def at(self, step: int) -> Tensor | None:
        """Return a step's weights (-1: the chain's first step), (nnz,), or None for ones."""
        return self._weights[step] if self.differs_by_step else self._weights[0]

    def times(self, matrix: Tensor, step: int) -> Tensor:
        """Return histories @ matrix, (batch, width), without dense histories.

        Args:
            matrix: float32, (num_items, width).
            step: the diffusion step whose weights apply; -1 for the chain's first.
        """
        return F.embedding_bag(
            self._items, matrix, self._starts, mode="sum", per_sample_weights=self.at(step)
        )

    def dense(self, step: int) -> Tensor:
        """Return the histories as vectors, shape (batch, num_items)."""
        rows, weights = self._rows, self.at(step)
        if weights is None:
            return rows_on(self._device, rows, np.arange(rows.num_users))
        if self._cells is None:  # the same for all steps
            self._cells = to_device(rows.users() * rows.num_items + rows.indices, self._device)
        flat = weights.new_zeros(rows.num_users * rows.num_items)
        return flat.index_put((self._cells,), weights).view(rows.num_users, rows.num_items)


def weighted_sums(
    items: np.ndarray, indptr: np.ndarray, weights: np.ndarray | None, matrix: Tensor
) -> Tensor:
    """Return rows @ matrix, (num_rows, width), for compressed sparse rows.

    Args:
        items: item ids, (nnz,).
        indptr: bounds of the rows in `items`, (num_rows + 1,).
        weights: weight of each item, float32 (nnz,); None for ones.
        matrix: float32, (num_items, width); its device computes the product.
    """
    return F.embedding_bag(
        to_device(items.astype(np.int64), matrix.device),
        matrix,
        to_device(indptr[:-1].copy(), matrix.device),
        mode="sum",
        per_sample_weights=None if weights is None else to_device(weights, matrix.device),
    )
