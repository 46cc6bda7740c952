"""Recall, precision, NDCG and MRR at many K at once, on arrays.

All are averaged over the users with a non-empty target. The released code averages over all users
and counts the others as zero; on data in which everyone has a target the two agree.
"""

from collections.abc import Sequence

import numpy as np

from diffrec.data.interactions import Interactions

KS = (10, 20, 50, 100)

FLAGS_AT_A_TIME = 2**22
"""Users by items that a hit is looked up in at a time, a byte each: about what a cache holds."""


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
    relevant, width = np.maximum(target.lengths, 1), hits.shape[1]
    discounts = 1 / np.log2(np.arange(2, max(width, *ks) + 2))
    ideal = np.concatenate(([0.0], np.cumsum(discounts)))
    cuts = np.unique([min(k, width) for k in ks])
    counts, gains = (_sums_up_to(cuts, hits * gain) for gain in (1, discounts[:width]))
    first = np.where(hits.any(axis=1), hits.argmax(axis=1), width)
    found: dict[str, np.ndarray] = {}
    for k in ks:
        last = min(k, width)
        at = np.searchsorted(cuts, last)
        found[f"recall@{k}"] = counts[:, at] / relevant
        found[f"ndcg@{k}"] = gains[:, at] / ideal[np.minimum(relevant, k)]
        found[f"precision@{k}"] = counts[:, at] / k
        found[f"mrr@{k}"] = np.where(first < last, 1 / (first + 1), 0.0)
    return found


def hit_matrix(ranking: np.ndarray, target: Interactions) -> np.ndarray:
    """Return whether each ranked item is a target of its user, shape of `ranking`, bool."""
    hits, num_items = np.zeros(ranking.shape, dtype=bool), max(target.num_items, 1)
    rows = max(1, FLAGS_AT_A_TIME // num_items)
    flags = np.zeros(min(rows, len(ranking)) * num_items, dtype=bool)
    for start in range(0, len(ranking), rows):
        part = ranking[start : start + rows]
        users = target.select_users(np.arange(start, start + len(part)))
        own = np.arange(len(part), dtype=np.int64)[:, None] * num_items
        wanted = users.users() * num_items + users.indices
        flags[wanted] = True
        hits[start : start + rows] = flags[own + part] & (part >= 0)
        flags[wanted] = False
    return hits


def _sums_up_to(cuts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sums of each row's values before each of the ascending cuts, (rows, cuts)."""
    starts = np.concatenate(([0], cuts[:-1]))
    return np.add.reduceat(values[:, : cuts[-1]], starts, axis=1).cumsum(axis=1)
