"""Recommenders solved in one pass: popularity, ItemKNN, EASE; fitted values are buffers.

Queried with weights 0.5 ** (age / half_life), ItemKNN and EASE favour a user's recent items. No
rescaling to the norm of the binary history is needed: scores are linear in it, rankings unchanged.
"""

import numpy as np
import torch
from torch import Tensor

from diffrec.config.baselines import EASEConfig, ItemKNNConfig, PopularityConfig
from diffrec.data.decay import half_life_weights
from diffrec.data.interactions import Interactions
from diffrec.models.base import Recommender
from diffrec.models.baselines import gram
from diffrec.models.weighted_history import weighted_sums


class Popularity(Recommender):
    """Scores items by their number of train interactions, the same for every user."""

    counts: Tensor

    def __init__(self, config: PopularityConfig, num_items: int) -> None:
        super().__init__(config, num_items)
        self.register_buffer("counts", torch.zeros(num_items))

    def fit(self, train: Interactions) -> None:
        """Count the interactions of each item."""
        counts = np.bincount(train.indices, minlength=train.num_items).astype(np.float32)
        self.counts.copy_(torch.from_numpy(counts))

    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items)."""
        return self.counts.repeat(len(users), 1)


class ItemKNN(Recommender):
    """Sums, over the history, the shrunk cosine to each candidate's nearest items.

    s_ij = |U_i ∩ U_j| / (sqrt(|U_i| |U_j|) + shrinkage), for the `num_neighbours` items j with the
    largest s_ij of each candidate i, where U_i is the set of users of item i.
    """

    neighbours: Tensor
    similarities: Tensor

    def __init__(self, config: ItemKNNConfig, num_items: int) -> None:
        super().__init__(config, num_items)
        shape = (num_items, min(config.num_neighbours, num_items))
        self.register_buffer("neighbours", torch.zeros(shape, dtype=torch.int32))
        self.register_buffer("similarities", torch.zeros(shape))

    def fit(self, train: Interactions) -> None:
        """Compute each item's nearest neighbours."""
        nearest = gram.nearest_items(train, self.neighbours.shape[1], self.config.shrinkage)
        self.neighbours.copy_(torch.from_numpy(nearest[0]))
        self.similarities.copy_(torch.from_numpy(nearest[1]))

    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items)."""
        rows = history.select_users(users)
        query = gram.weighted_csr(rows, recency_weights(rows, self.config.half_life))
        scores = gram.score_neighbours(
            query, self.neighbours.cpu().numpy(), self.similarities.cpu().numpy()
        )
        return torch.from_numpy(scores).to(self.neighbours.device)


class EASE(Recommender):
    """Predicts every item from all others, linearly: B = I - P / diag(P), P = (X'X + λI)^-1.

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8.
    """

    weights: Tensor

    def __init__(self, config: EASEConfig, num_items: int) -> None:
        super().__init__(config, num_items)
        gram.require_memory(num_items)
        self.register_buffer("weights", torch.zeros(num_items, num_items))

    def fit(self, train: Interactions) -> None:
        """Solve for B in float64."""
        weights = gram.ease_weights(train, self.config.regularization, self.weights.device)
        self.weights.copy_(weights)

    @torch.no_grad()
    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items)."""
        rows = history.select_users(users)
        weights = recency_weights(rows, self.config.half_life)
        return weighted_sums(rows.indices, rows.indptr, weights, self.weights)


def recency_weights(history: Interactions, half_life: float | None) -> np.ndarray | None:
    """Return 0.5 ** (age / half_life) per interaction, shape (nnz,), float32; None means ones."""
    if half_life is None:
        return None
    return half_life_weights(history.ages(), half_life).astype(np.float32)
