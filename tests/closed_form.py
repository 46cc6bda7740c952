"""Closed-form recommenders and a metric in a few lines of NumPy: a yardstick, not a product.

Slow, dense and clear, for a few thousand items at most. The service has baselines of its own.
"""

import numpy as np

from diffrec.data import Interactions


def popularity_scores(train: Interactions) -> np.ndarray:
    """Score items by their number of train interactions, the same for every user."""
    counts = np.bincount(train.indices, minlength=train.num_items).astype(np.float64)
    return np.tile(counts, (train.num_users, 1))


def recency_history(train: Interactions, half_life: float) -> np.ndarray:
    """Weight histories 0.5 ** (age / half_life), rescaled to the L2 norm of the binary history."""
    history = np.zeros((train.num_users, train.num_items))
    history[train.users(), train.indices] = 0.5 ** (train.ages() / half_life)
    norm = np.linalg.norm(history, axis=1, keepdims=True)
    return history * np.sqrt(train.lengths)[:, None] / norm


def ease_weights(train: Interactions, regularization: float) -> np.ndarray:
    """Return EASE's item-to-item matrix: B = I - P / diag(P), P = (X'X + reg I)^-1.

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    """
    X = train.to_csr(np.float64)
    P = np.linalg.inv((X.T @ X).toarray() + regularization * np.eye(train.num_items))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0.0)
    return B


def ease_scores(
    train: Interactions, regularization: float, half_life: float = np.inf
) -> np.ndarray:
    """Score by EASE; the query is weighted by recency, binary for an infinite half-life."""
    return recency_history(train, half_life) @ ease_weights(train, regularization)


def recall_at_k(
    scores: np.ndarray, target: Interactions, seen: tuple[Interactions, ...], k: int
) -> float:
    """Return recall@k, mean over users with a target: hits in the top k / number of targets."""
    scores = scores.copy()
    for interactions in seen:
        scores[interactions.users(), interactions.indices] = -np.inf
    top = np.argpartition(-scores, k, axis=1)[:, :k]
    relevant = target.to_csr().toarray() > 0
    hits = np.take_along_axis(relevant, top, axis=1).sum(axis=1)
    has_target = target.lengths > 0
    return float((hits[has_target] / target.lengths[has_target]).mean())
