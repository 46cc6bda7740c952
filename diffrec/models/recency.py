"""Learned recency: a weight per age, fitted to the user's own next items.

A reconstruction loss cannot learn such weights (it only shrinks them); the signal must be the
future. So a user's training history is cut at a random point, the network is queried with the
weighted past, and the next items are scored by a multinomial likelihood whose gradient reaches the
weights alone. Validation and test interactions are not used.
"""

import logging

import numpy as np
import torch
from torch import Tensor, nn

from diffrec.data.interactions import Interactions
from diffrec.runtime.devices import to_device

logger = logging.getLogger(__name__)

NUM_KNOTS = 14
KNOT_AGES = tuple(2**k - 1 for k in range(NUM_KNOTS))
"""Knots at ages 0, 1, 3, 7, ..., 2^13 - 1; older interactions weigh as the last."""

CUT_RANGE = (0.5, 0.9)
"""A history is cut after this share of its items."""


class RecencyCurve(nn.Module):
    """Curve W: positive weights at log-spaced ages, linear in between, ones at the start.

    One row for all diffusion steps, or a row for each: step t then uses the history weighted by
    row t (`GaussianProcess.reverse_chain`).
    """

    def __init__(self, num_rows: int = 1) -> None:
        super().__init__()
        self.log_weights = nn.Parameter(torch.zeros(num_rows, NUM_KNOTS))

    def knots(self) -> Tensor:
        """Return the weight at each knot, shape (num_rows, NUM_KNOTS)."""
        return self.log_weights.exp()

    def all_rows(self, history: Interactions) -> list[Tensor | None]:
        """Return the weights of all interactions for each row, (nnz,) each, at the binary norm."""
        device = self.log_weights.device
        ages = to_device(history.ages(), device)
        users = to_device(history.users(), device)
        lengths = to_device(history.lengths, device).to(self.log_weights.dtype)
        position = torch.log2(ages.float() + 1).clamp(max=NUM_KNOTS - 1)
        below = position.floor().long().clamp(max=NUM_KNOTS - 2)
        share = position - below
        rows: list[Tensor | None] = []
        for knots in self.knots():
            weights = knots[below] + share * (knots[below + 1] - knots[below])
            squares = torch.zeros_like(lengths).index_add(0, users, weights.square())
            scale = (lengths / squares.where(squares > 0, torch.ones_like(squares))).sqrt()
            rows.append(weights * scale[users])
        return rows

    def check_collapse(self, lengths: np.ndarray | None = None) -> str | None:
        """Return a warning if the weights of a row have collapsed, else None.

        Args:
            lengths: of the histories that are weighted, (num_users,); None: 32 items each.
        """
        with torch.no_grad():
            knots = self.knots()
            if not bool((knots > 1e-6).any(dim=1).all()):
                return "The learned recency weights have all fallen to zero; lower the rate of W."
            share = max(_newest_share(row, lengths) for row in knots.double().cpu().numpy())
        if share > 0.95:
            return (
                f"The newest item holds {share:.0%} of the learned recency weight: a history has "
                "become one item; lower the rate of W or raise temporal.future_items."
            )
        return None


def cut_histories(
    history: Interactions,
    num_future: int,
    rng: np.random.Generator,
    earliest: np.ndarray | None = None,
) -> tuple[Interactions, Interactions]:
    """Cut each history at a random point; return (pasts, the next `num_future` items at most).

    Users with fewer than two interactions are left out of both.

    Args:
        history: train interactions, one row per user.
        num_future: items after the cut to keep.
        rng: source of the cuts.
        earliest: the shortest past of each user, (num_users,): what the network has been trained
            on. None: half the history.
    """
    users = np.flatnonzero(history.lengths >= 2)
    history = history.select_users(users)
    lengths = history.lengths
    if earliest is None:
        share = rng.uniform(*CUT_RANGE, size=history.num_users)
    else:
        share = rng.uniform(earliest[users] / lengths, 1.0)
    cuts = np.clip((lengths * share).astype(np.int64), 1, lengths - 1)
    ends = np.minimum(cuts + num_future, lengths)
    position, users = history.positions(), history.users()
    return (
        select_interactions(history, position < cuts[users]),
        select_interactions(history, (position >= cuts[users]) & (position < ends[users])),
    )


def standardise_scores(scores: Tensor) -> Tensor:
    """Return the scores, shape (batch, num_items), in units of each user's standard deviation.

    Scores of a reconstruction spread over .05, an autoencoder's logits over 2: with this unit one
    temperature serves both. The unit has no gradient.
    """
    spread = scores.detach().std(dim=-1, keepdim=True)
    return scores / spread.where(spread > 0, torch.ones_like(spread))


def future_nll(scores: Tensor, past: Interactions, future: Interactions) -> Tensor:
    """Return the mean over users of the mean -log softmax of their next items.

    Items of the past are masked, as in the ranking. `scores` has shape (batch, num_items).
    """
    device = scores.device
    rows, items = (to_device(a.astype(np.int64), device) for a in (past.users(), past.indices))
    floor = scores.new_full((), torch.finfo(scores.dtype).min)
    log_p = torch.log_softmax(scores.index_put((rows, items), floor), dim=-1)
    rows, items = (to_device(a.astype(np.int64), device) for a in (future.users(), future.indices))
    share = to_device(1 / np.maximum(future.lengths, 1), device).to(scores.dtype)
    return -(log_p[rows, items] * share[rows]).sum() / max(future.num_users, 1)


def select_interactions(history: Interactions, mask: np.ndarray) -> Interactions:
    """Return the interactions in the mask `mask`, (nnz,), of the same users."""
    indptr = np.concatenate(([0], np.cumsum(mask)))[history.indptr]
    return Interactions(
        history.num_users,
        history.num_items,
        indptr.astype(np.int64),
        history.indices[mask],
    )


def _newest_share(knots: np.ndarray, lengths: np.ndarray | None) -> float:
    """Return the newest item's mean share of a history's weights, over histories of two or more."""
    lengths = np.array([32]) if lengths is None else lengths[lengths >= 2]
    if not len(lengths):
        return 0.0
    position = np.log2(np.arange(lengths.max()) + 1.0)
    total = np.cumsum(np.interp(position, np.arange(NUM_KNOTS), knots))
    return float((knots[0] / total[lengths - 1]).mean())
