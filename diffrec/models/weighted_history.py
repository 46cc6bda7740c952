"""What a trained network is asked with: a batch of histories, weighted, in the form it needs."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec.data.interactions import Interactions
from diffrec.runtime.devices import rows_on, to_device


class WeightedHistory:
    """Histories of a batch and the weights of their interactions, as each step sees them."""

    def __init__(
        self, rows: Interactions, weights: Sequence[Tensor | None], device: torch.device
    ) -> None:
        """Take what is to be asked.

        Args:
            rows: histories, one row per user.
            weights: of each interaction, (nnz,), or None for ones; a single entry for all steps, or
                one for each.
            device: where the network is.
        """
        self._rows, self._weights, self._device = rows, weights, device
        self._items = to_device(rows.indices.astype(np.int64), device)
        self._starts = to_device(rows.indptr[:-1].copy(), device)
        self._cells: Tensor | None = None

    @property
    def differs_by_step(self) -> bool:
        """Whether steps have weights of their own."""
        return len(self._weights) > 1

    def at(self, step: int) -> Tensor | None:
        """Return the weights that a step (-1: the chain's first) sees, (nnz,), or None for ones."""
        return self._weights[step] if self.differs_by_step else self._weights[0]

    def times(self, matrix: Tensor, step: int) -> Tensor:
        """Return histories @ matrix, from (num_items, width) to (batch, width), never dense."""
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
