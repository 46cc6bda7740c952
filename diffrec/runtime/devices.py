"""Copies of host arrays to a device that do not block the host.

A copy of pageable memory blocks the host until the device has finished all earlier work; one of
pinned memory runs beside both. Sparse rows are copied as indices and made dense on the device.
"""

import numpy as np
import torch
from torch import Tensor

from diffrec.data.batches import cells_of, dense_rows
from diffrec.data.interactions import Interactions


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return the array's values on `device`; on a CPU the tensor shares its memory."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def rows_on(
    device: torch.device,
    interactions: Interactions,
    users: np.ndarray,
    values: np.ndarray | None = None,
) -> Tensor:
    """Return `dense_rows` on a device, float32 (len(users), num_items).

    Args:
        device: device of the result.
        interactions: the rows to choose from.
        users: integer user ids, in any order.
        values: a weight for each interaction, (nnz,); ones if left out.
    """
    if device.type == "cpu":
        return torch.from_numpy(dense_rows(interactions, users, values))
    cells, cell_values = cells_of(interactions, users, values)
    rows = torch.zeros(len(users), interactions.num_items, device=device)
    return scatter_ones(
        rows,
        to_device(cells, device),
        None if cell_values is None else to_device(cell_values, device),
    )


def scatter_ones(rows: Tensor, cells: Tensor, values: Tensor | None) -> Tensor:
    """Write `values` at `cells` of contiguous rows; return the rows.

    Args:
        rows: zeros, (users, num_items).
        cells: flat indices into the rows, int64, each at most once.
        values: the values, (len(cells),); None for ones.
    """
    flat = rows.view(-1)
    if values is None:
        flat.index_fill_(0, cells, 1.0)
    else:
        flat.scatter_(0, cells, values)
    return rows
