"""What a run is fed: the rows of an epoch's users, batch by batch, in the order they were drawn.

On a CPU a batch is cut from the compressed rows as it is asked for. On a GPU the histories lie on
the device, and once an epoch it is worked out there where in each batch something stands: a batch
then costs the host nothing but asking for it.
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
    """The inputs and targets of some users, not yet dense."""

    def __len__(self) -> int:
        """Return how many users it has."""
        ...

    def write(self, which: int, out: Tensor) -> Tensor:
        """Write the inputs (0) or targets (1) into `out`, (len, num_items), and return it."""
        ...


class BatchLoader:
    """Cuts the batches of a run."""

    def __init__(
        self,
        interactions: Interactions,
        weights: tuple[np.ndarray | None, np.ndarray | None],
        device: torch.device,
        *,
        cuts_on_device: bool | None = None,
    ) -> None:
        """Keep, or send to the device, what batches are cut from.

        Args:
            interactions: whose rows.
            weights: of inputs and targets, each (nnz,) or None for ones; one and the same where
                inputs are the targets.
            device: where the batches are wanted.
            cuts_on_device: whether they are cut on the device; as if left out, on any but a CPU.
        """
        self._interactions, self._weights, self._device = interactions, weights, device
        self._on_device: tuple[Tensor, list[Tensor | None]] | None = None
        if device.type != "cpu" if cuts_on_device is None else cuts_on_device:
            sent = [
                None if (w := weights[k]) is None else to_device(w, device) for k in self.row_kinds
            ]
            indices = interactions.indices.copy()  # theirs may be read-only
            self._on_device = to_device(indices, device), sent

    @property
    def row_kinds(self) -> Sequence[int]:
        """Which rows differ: inputs (0), and targets (1) where they are not the inputs."""
        inputs, targets = self._weights
        return (0,) if inputs is targets else (0, 1)

    def rows(self, batch: Batch) -> list[Tensor]:
        """Return the batch's rows of each kind, float32 (len(batch), num_items)."""
        shape = len(batch), self._interactions.num_items
        return [
            batch.write(which, torch.empty(shape, device=self._device)) for which in self.row_kinds
        ]

    def batches(self, users: np.ndarray, size: int) -> Iterator[Batch]:
        """Yield batches of `size` of these users, in their order; the last may be shorter."""
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
        # Of each interaction of the epoch: its place in its batch's rows, and where it is kept.
        rows = np.arange(len(users)) % size * self._interactions.num_items
        shifts = starts - (ends - lengths)
        of_users = to_device(np.stack((rows, shifts, lengths)).astype(np.int64), self._device)
        row_starts, shift, repeats = of_users
        slots = shift.repeat_interleave(repeats, output_size=total)
        slots += torch.arange(total, device=self._device)
        cells = row_starts.repeat_interleave(repeats, output_size=total)
        cells += indices[slots]
        values = [None if kept is None else kept[slots] for kept in weights]
        del slots  # of the epoch only what its batches are made of stays
        before = 0
        for start in range(0, len(users), size):
            stop = min(start + size, len(users))
            here = slice(before, int(ends[stop - 1]))
            parts = [None if kept is None else kept[here] for kept in values]
            yield _DeviceBatch(stop - start, cells[here], parts)
            before = here.stop


def inputs_and_targets(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return inputs and targets: one and the same where there is one kind of rows."""
    return rows[0], rows[-1]


class _HostBatch:
    """Users of compressed rows."""

    def __init__(
        self,
        interactions: Interactions,
        weights: Sequence[np.ndarray | None],
        users: np.ndarray,
    ) -> None:
        self._interactions, self._weights, self._users = interactions, weights, users

    def __len__(self) -> int:
        return len(self._users)

    def write(self, which: int, out: Tensor) -> Tensor:
        """See `Batch`."""
        dense_rows(self._interactions, self._users, self._weights[which], out.numpy())
        return out


class _DeviceBatch:
    """Cells of dense rows, and what stands in each; None for ones."""

    def __init__(self, users: int, cells: Tensor, values: Sequence[Tensor | None]) -> None:
        self._users, self._cells, self._values = users, cells, values

    def __len__(self) -> int:
        return self._users

    def write(self, which: int, out: Tensor) -> Tensor:
        """See `Batch`."""
        return scatter_ones(out.zero_(), self._cells, self._values[which])
