"""Recall, precision, NDCG and MRR at many K at once; ours, to compute them on the GPU per user.

All are averaged over the users with a non-empty target. The released code averages over all users
and counts the others as zero; on data in which everyone has a target the two agree.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from diffrec.data.interactions import Interactions
from diffrec.runtime.devices import to_device

KS = (10, 20, 50, 100)

FLAGS_AT_A_TIME = (2**22, 2**28)
"""Cells (users x items) of the hit table at a time on a CPU and a GPU, one byte each: a CPU's cache
holds about as many, a GPU scores fewer at a time."""


def user_metrics(
    ranking: np.ndarray | Tensor, target: Interactions, ks: Sequence[int] = KS
) -> dict[str, np.ndarray]:
    """Return `recall@K`, `ndcg@K`, `precision@K` and `mrr@K` per user, float64 (num_users,).

    recall@K = hits / |target| (as DiffRec; some libraries divide by min(K, |target|));
    precision@K = hits / K; ndcg@K with binary gains and the ideal of min(K, |target|) hits;
    mrr@K = 1 / rank of the first hit, 0 without one. All are 0 for an empty target.

    Args:
        ranking: items from best to worst, shape (num_users, at least max(ks) where there are as
            many items), -1 after the last ranked item.
        target: held-out items of the same users.
        ks: cut-offs.
    """
    hits = hit_matrix(ranking, target)
    relevant, width = np.maximum(target.lengths, 1), hits.shape[1]
    discounts = 1 / np.log2(np.arange(2, max(width, *ks) + 2))
    ideal = np.concatenate(([0.0], np.cumsum(discounts)))
    cuts = np.unique([min(k, width) for k in ks])
    counts = _counts_up_to(cuts, hits)
    # summed in the same order as the ideal: a perfect ranking has exactly 1
    gains = (hits * discounts[:width]).cumsum(axis=1)[:, cuts - 1]
    first = np.where(hits.any(axis=1), hits.argmax(axis=1), width)
    metrics: dict[str, np.ndarray] = {}
    for k in ks:
        last = min(k, width)
        column = np.searchsorted(cuts, last)
        metrics[f"recall@{k}"] = counts[:, column] / relevant
        metrics[f"ndcg@{k}"] = gains[:, column] / ideal[np.minimum(relevant, k)]
        metrics[f"precision@{k}"] = counts[:, column] / k
        metrics[f"mrr@{k}"] = np.where(first < last, 1 / (first + 1), 0.0)
    return metrics


def hit_matrix(ranking: np.ndarray | Tensor, target: Interactions) -> np.ndarray:
    """Return True for each ranked item that is a target of its user, in the shape of `ranking`.

    The lookup runs on the device of `ranking`.
    """
    order = torch.as_tensor(ranking)
    hits, num_items = torch.empty_like(order, dtype=torch.bool), max(target.num_items, 1)
    rows = max(1, FLAGS_AT_A_TIME[order.device.type == "cuda"] // num_items)
    shape = min(rows, len(order)), num_items
    target_mask = torch.zeros(shape, dtype=torch.bool, device=order.device)
    for start in range(0, len(order), rows):
        block = order[start : start + rows].long()
        users = target.select_users(np.arange(start, start + len(block)))
        target_cells = to_device(users.users() * num_items + users.indices, order.device)
        target_mask.view(-1).index_fill_(0, target_cells, True)
        is_target = target_mask[: len(block)].gather(1, block.clamp(min=0))
        hits[start : start + rows] = is_target & (block >= 0)
        target_mask.view(-1).index_fill_(0, target_cells, False)
    return hits.cpu().numpy()


def _counts_up_to(cuts: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return the hits of each row before each of the ascending cuts, (rows, cuts)."""
    starts = np.concatenate(([0], cuts[:-1]))
    counts = np.add.reduceat(hits[:, : cuts[-1]], starts, axis=1, dtype=np.int64)
    return counts.cumsum(axis=1)
