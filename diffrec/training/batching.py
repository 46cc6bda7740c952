"""Mini-batches of an epoch, cut on the CPU or on the GPU; ours, since DataLoader copies row by row.

On a CPU a batch is cut from the compressed rows when it is requested. On a GPU the histories are on
the device, and the cells of all batches are computed there once an epoch: a batch then costs the
host one kernel launch per kind of rows.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from diffrec.data.batches import dense_rows
from diffrec.data.interactions import Interactions
from diffrec.runtime.devices import scatter_ones, to_device


class Batch(Protocol):
    """Inputs and targets of some users, not yet dense."""

    def __len__(self) -> int:
        """Return the number of users."""
        ...

    def write(self, kind: int, out: Tensor) -> Tensor:
        """Write the inputs (0) or targets (1) into `out`, (len, num_items), and return it."""
        ...


class BatchLoader:
    """Source of a run's batches."""

    def __init__(
        self,
        interactions: Interactions,
        weights: tuple[np.ndarray | None, np.ndarray | None],
        device: torch.device,
        *,
        cuts_on_device: bool | None = None,
    ) -> None:
        """Prepare the batches; on a GPU, copy the histories there.

        Args:
            interactions: histories, one row per user.
            weights: weights of inputs and of targets, each (nnz,) or None for ones; the same object
                if the inputs are the targets.
            device: device of the batches.
            cuts_on_device: whether to cut them there; None: on every device but a CPU.
        """
        self._interactions, self._weights, self._device = interactions, weights, device
        self._on_device: tuple[Tensor, list[Tensor | None]] | None = None
        if device.type != "cpu" if cuts_on_device is None else cuts_on_device:
            device_weights = [
                None if (w := weights[k]) is None else to_device(w, device) for k in self.row_kinds
            ]
            indices = interactions.indices.copy()  # theirs may be read-only
            self._on_device = to_device(indices, device), device_weights

    @property
    def row_kinds(self) -> Sequence[int]:
        """Kinds of rows: inputs (0), and targets (1) if they are not the inputs."""
        inputs, targets = self._weights
        return (0,) if inputs is targets else (0, 1)

    def rows(self, batch: Batch) -> list[Tensor]:
        """Return the dense rows of each kind, float32 (len(batch), num_items)."""
        shape = len(batch), self._interactions.num_items
        return [
            batch.write(kind, torch.empty(shape, device=self._device)) for kind in self.row_kinds
        ]

    def batches(self, users: np.ndarray, size: int) -> Iterator[Batch]:
        """Yield batches of `size` users in the given order; the last may be shorter."""
        if self._on_device is not None:
            yield from self._batches_on_device(users, size, *self._on_device)
            return
        for start in range(0, len(users), size):
            part = users[start : start + size]
            yield _HostBatch(self._interactions, self._weights, part)

    def _batches_on_device(
        self, users: np.ndarray, size: int, indices: Tensor, weights: Sequence[Tensor | None]
    ) -> Iterator["_DeviceBatch"]:
        starts, lengths = self._interactions.indptr[users], self._interactions.lengths[users]
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        # for each interaction of the epoch: its cell in the batch's rows, its index in the data
        rows = np.arange(len(users)) % size * self._interactions.num_items
        shifts = starts - (ends - lengths)
        per_user = to_device(np.stack((rows, shifts, lengths)).astype(np.int64), self._device)
        row_starts, shift, repeats = per_user
        slots = shift.repeat_interleave(repeats, output_size=total)
        slots += torch.arange(total, device=self._device)
        cells = row_starts.repeat_interleave(repeats, output_size=total)
        cells += indices[slots]
        values = [None if array is None else array[slots] for array in weights]
        del slots  # only what the batches are cut from stays in memory
        first_cell = 0
        for start in range(0, len(users), size):
            stop = min(start + size, len(users))
            span = slice(first_cell, int(ends[stop - 1]))
            parts = [None if array is None else array[span] for array in values]
            yield _DeviceBatch(stop - start, cells[span], parts)
            first_cell = span.stop


def inputs_and_targets(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return inputs and targets, the same tensor if there is one kind of rows."""
    return rows[0], rows[-1]


class _HostBatch:
    """Batch that is cut from the compressed rows on the host."""

    def __init__(
        self,
        interactions: Interactions,
        weights: Sequence[np.ndarray | None],
        users: np.ndarray,
    ) -> None:
        self._interactions, self._weights, self._users = interactions, weights, users

    def __len__(self) -> int:
        return len(self._users)

    def write(self, kind: int, out: Tensor) -> Tensor:
        """Write the dense rows of one kind (see `Batch`)."""
        dense_rows(self._interactions, self._users, self._weights[kind], out.numpy())
        return out


class _DeviceBatch:
    """Batch given by the cells of its dense rows and their values (None: ones), on the device."""

    def __init__(self, users: int, cells: Tensor, values: Sequence[Tensor | None]) -> None:
        self._users, self._cells, self._values = users, cells, values

    def __len__(self) -> int:
        return self._users

    def write(self, kind: int, out: Tensor) -> Tensor:
        """Write the dense rows of one kind (see `Batch`)."""
        return scatter_ones(out.zero_(), self._cells, self._values[kind])
