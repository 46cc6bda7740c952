"""Dense rows, cut from compressed ones without a Python loop over users."""

import numpy as np

from diffrec.data.interactions import Interactions


def dense_rows(
    interactions: Interactions,
    users: np.ndarray,
    values: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return float32 (len(users), num_items): the rows of `users`, zero where nothing happened.

    Args:
        interactions: Source of the rows.
        users: Integer user ids, in any order.
        values: One weight per interaction, (nnz,), in the order of `interactions.indices`; ones if
            left out.
        out: A C-contiguous float32 buffer of at least len(users) rows, overwritten and returned cut
            to size: a loop over batches then allocates once.
    """
    cells, cell_values = cells_of(interactions, users, values)
    rows = _blank_rows(len(users), interactions.num_items, out)
    rows.reshape(-1)[cells] = 1.0 if cell_values is None else cell_values
    return rows


def cells_of(
    interactions: Interactions, users: np.ndarray, values: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the flat indices of the entries in `dense_rows`, and their values; None for ones.

    Both have a value for each interaction of the users; arguments are those of `dense_rows`.
    """
    if values is not None and values.shape != (interactions.nnz,):
        raise ValueError(
            f"`values` must hold one weight for each of the {interactions.nnz} interactions, "
            f"but got shape {values.shape}."
        )
    slots = interactions.slots(users)
    row_of_slot = np.repeat(np.arange(len(users)), interactions.lengths[users])
    # One flat index takes 0.11 ms a batch of ML-1M, a pair of index arrays 0.28 ms.
    cells = row_of_slot * interactions.num_items + interactions.indices[slots]
    return cells, None if values is None else values[slots]


def _blank_rows(num_rows: int, num_items: int, out: np.ndarray | None) -> np.ndarray:
    if out is None:
        return np.zeros((num_rows, num_items), dtype=np.float32)
    if (
        out.dtype != np.float32
        or out.ndim != 2
        or len(out) < num_rows
        or out.shape[1] != num_items
        or not out.flags.c_contiguous
    ):
        raise ValueError(
            f"`out` must be C-contiguous float32 of at least {num_rows} rows and {num_items} "
            f"columns, but got {out.dtype} of shape {out.shape}."
        )
    rows = out[:num_rows]
    rows[...] = 0.0
    return rows
