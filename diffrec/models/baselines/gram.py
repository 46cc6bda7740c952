"""Gram matrix X'X of the train interactions, and the item-to-item models computed from it."""

import numpy as np
import torch
from scipy.sparse import csr_array

from diffrec.data.interactions import Interactions
from diffrec.errors import UserError
from diffrec.runtime.memory import free_memory

_CELLS_PER_BLOCK = 2**25
"""Cells of the Gram matrix made dense at a time: 256 MiB in float64."""


def weighted_csr(history: Interactions, weights: np.ndarray | None) -> csr_array:
    """Return the history as a float32 matrix with one weight per interaction; None means ones."""
    if weights is None:
        return history.to_csr()
    shape = (history.num_users, history.num_items)
    return csr_array((weights, history.indices, history.indptr), shape=shape)


def require_memory(
    num_items: int,
    device: torch.device | None = None,
    *,
    model: str = "EASE",
    alternative: str = "ItemKNN, which keeps only each item's nearest",
) -> None:
    """Raise UserError if a dense item-to-item model does not fit into the device's free memory.

    Solving takes the Gram matrix and its inverse in float64, and B in float32, at once.
    """
    num_bytes, free = num_items**2 * (8 + 8 + 4), free_memory(device or torch.device("cpu"))
    if num_bytes > free:
        raise UserError(
            f"{model} needs {num_bytes / 2**30:.1f} GiB for its dense matrices of {num_items} x "
            f"{num_items} items, but {free / 2**30:.1f} GiB are free; use a machine with more "
            f"memory, or {alternative}."
        )


def ease_weights(
    train: Interactions, regularization: float, device: torch.device | None = None
) -> torch.Tensor:
    """Return EASE's item-to-item matrix B, float64 (num_items, num_items), zero diagonal."""
    require_memory(train.num_items, device)
    X = train.to_csr(np.float64)
    gram = torch.from_numpy((X.T @ X).toarray()).to(device or "cpu")
    gram.diagonal().add_(regularization)
    # symmetric and positive definite: Cholesky needs half the operations of an LU
    P = torch.cholesky_inverse(torch.linalg.cholesky(gram, out=gram))
    del gram
    P /= -P.diagonal().clone()  # by column: B_ij = -P_ij / P_jj
    P.fill_diagonal_(0.0)
    return P


def nearest_items(
    train: Interactions, num_neighbours: int, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return each item's nearest, by shrunk cosine, and how near: int32 and float32 arrays.

    Both have shape (num_items, num_neighbours); places without a neighbour have similarity 0. Of
    equally near items the smaller ids are kept. The Gram matrix is made in blocks of rows.
    """
    X = train.to_csr(np.float64)
    transposed = csr_array(X.T)
    norms = np.sqrt(np.bincount(train.indices, minlength=train.num_items))
    neighbours = np.zeros((train.num_items, num_neighbours), dtype=np.int32)
    similarities = np.zeros((train.num_items, num_neighbours), dtype=np.float32)
    block = max(1, _CELLS_PER_BLOCK // train.num_items)
    for start in range(0, train.num_items, block):
        rows = np.arange(start, min(start + block, train.num_items))
        cosines = np.asarray((transposed[rows] @ X).toarray())
        cosines /= np.maximum(np.outer(norms[rows], norms) + shrinkage, 1e-12)
        cosines[np.arange(len(rows)), rows] = 0.0
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :num_neighbours]
        neighbours[rows] = nearest
        similarities[rows] = np.take_along_axis(cosines, nearest, axis=1)
    return neighbours, similarities


def score_neighbours(
    query: csr_array, neighbours: np.ndarray, similarities: np.ndarray
) -> np.ndarray:
    """Return dense float32 scores: row u, item i has the sum over i's neighbours j of query_uj."""
    num_items, width = neighbours.shape
    starts = np.arange(num_items + 1) * width
    matrix = csr_array(
        (similarities.ravel(), neighbours.ravel(), starts), shape=(num_items, num_items)
    )
    return np.asarray((query @ matrix.T).toarray(), dtype=np.float32)
