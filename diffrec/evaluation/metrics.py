"""Recall, precision, NDCG and MRR at many K at once, on arrays.

All are averaged over the users with a non-empty target. The released code averages over all users
and counts the others as zero; on data in which everyone has a target the two agree.
"""

from collections.abc import Sequence

import numpy as np

from diffrec.data.interactions import Interactions

KS = (10, 20, 50, 100)


def ranking_metrics(
    ranking: np.ndarray, target: Interactions, ks: Sequence[int] = KS
) -> dict[str, float]:
    """Return `recall@K`, `ndcg@K`, `precision@K` and `mrr@K` for every K.

    recall@K = hits / |target| (as DiffRec; some libraries divide by min(K, |target|));
    precision@K = hits / K; ndcg@K with binary gains and the ideal of min(K, |target|) hits;
    mrr@K = 1 / rank of the first hit, 0 without one.

    Args:
        ranking: items from best to worst, shape (num_users, at least max(ks) where there are as
            many items), -1 where nothing is left to rank.
        target: held-out items of the same users.
        ks: cut-offs.
    """
    users = np.flatnonzero(target.lengths > 0)
    found = user_metrics(ranking[users], target.select_users(users), ks)
    return {name: float(values.sum()) / max(len(users), 1) for name, values in found.items()}


def user_metrics(
    ranking: np.ndarray, target: Interactions, ks: Sequence[int] = KS
) -> dict[str, np.ndarray]:
    """Return each metric per user, shape (num_users,), float64; 0 for an empty target."""
    hits = hit_matrix(ranking, target)
    lengths = target.lengths
    relevant = np.maximum(lengths, 1)
    width = hits.shape[1]
    discounts = 1 / np.log2(np.arange(2, max(width, *ks) + 2))
    ideal = np.concatenate(([0.0], np.cumsum(discounts)))
    hit_counts = hits.cumsum(axis=1)
    gains = (hits * discounts[:width]).cumsum(axis=1)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1), width)
    found: dict[str, np.ndarray] = {}
    for k in ks:
        last = min(k, width) - 1
        found[f"recall@{k}"] = hit_counts[:, last] / relevant
        found[f"ndcg@{k}"] = gains[:, last] / ideal[np.minimum(relevant, k)]
        found[f"precision@{k}"] = hit_counts[:, last] / k
        found[f"mrr@{k}"] = np.where(first <= last, 1 / (first + 1), 0.0)
    return found


def hit_matrix(ranking: np.ndarray, target: Interactions) -> np.ndarray:
    """Return whether each ranked item is a target of its user, shape of `ranking`, bool."""
    num_items = max(target.num_items, 1)
    owners = np.repeat(np.arange(target.num_users, dtype=np.int64), target.lengths)
    wanted = np.sort(owners * num_items + target.indices)
    asked = np.arange(len(ranking), dtype=np.int64)[:, None] * num_items + ranking
    if len(wanted) == 0:
        return np.zeros(ranking.shape, dtype=bool)
    place = np.minimum(np.searchsorted(wanted, asked), len(wanted) - 1)
    return (wanted[place] == asked) & (ranking >= 0)
