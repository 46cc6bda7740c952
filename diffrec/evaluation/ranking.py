"""Full ranking: every user, every unseen item, in batches of users sized to memory."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from diffrec.data.interactions import Interactions
from diffrec.evaluation.metrics import KS, metric_sums

SCORES_PER_BATCH = 2**22
"""Scores held at a time: 16 MiB in float32."""


class Scorer(Protocol):
    """Anything that scores all items for some users."""

    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items)."""
        ...


def evaluate(
    model: Scorer,
    *,
    history: Interactions,
    target: Interactions,
    seen: Sequence[Interactions],
    ks: Sequence[int] = KS,
) -> dict[str, float]:
    """Return the metrics of `model`'s full ranking, averaged over users with a target.

    Args:
        model: what scores; a torch module is put into eval mode for the time.
        history: what the model is asked with.
        target: held-out items.
        seen: interactions that must not be recommended.
        ks: cut-offs.
    """
    asked = np.flatnonzero(target.lengths > 0)
    totals: dict[str, float] = {}
    for users, ranking in rankings(model, history=history, seen=seen, users=asked, k=max(ks)):
        for name, value in metric_sums(ranking, target.select_users(users), ks).items():
            totals[name] = totals.get(name, 0.0) + value
    return {name: value / len(asked) for name, value in totals.items()}


def rankings(
    model: Scorer,
    *,
    history: Interactions,
    seen: Sequence[Interactions],
    users: np.ndarray,
    k: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (users, their top-k items, best first); -1 where fewer than k items are unseen.

    Nothing of shape (num_users, num_items) is made.
    """
    was_training = isinstance(model, torch.nn.Module) and model.training
    if isinstance(model, torch.nn.Module):
        model.eval()
    width = min(k, history.num_items)
    try:
        for batch in np.array_split(users, max(1, -(-len(users) // batch_rows(history)))):
            if len(batch):
                scores = model.scores(history, batch)
                hide(scores, [part.select_users(batch) for part in seen])
                top = scores.topk(width, dim=-1)
                items = top.indices.masked_fill(top.values == -torch.inf, -1)
                yield batch, items.cpu().numpy()
    finally:
        if isinstance(model, torch.nn.Module):
            model.train(was_training)


def batch_rows(history: Interactions) -> int:
    """Return how many users are scored at a time."""
    return max(1, SCORES_PER_BATCH // max(history.num_items, 1))


def hide(scores: Tensor, seen: Sequence[Interactions]) -> None:
    """Set the scores of seen items, one row of `seen` per row of `scores`, to minus infinity."""
    for rows in seen:
        owners = np.repeat(np.arange(rows.num_users, dtype=np.int64), rows.lengths)
        cells = torch.from_numpy(owners * scores.shape[1] + rows.indices).to(scores.device)
        scores.view(-1).index_fill_(0, cells, -torch.inf)
