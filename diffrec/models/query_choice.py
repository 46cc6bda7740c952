"""Guard of weighted queries: validation chooses the query that a trained recommender uses.

Recency weights, and a query scale other than one, help if time matters and harm if it does not. A
guarded recommender is therefore validated with each query and keeps the best; the plain history at
scale one is always among them, and wins a tie.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Query(NamedTuple):
    """Form in which a history is given to a trained network."""

    is_weighted: bool
    """True if interactions have their weights, False for ones."""

    scale: float
    """Factor on the history."""


class QueryChoice(nn.Module):
    """Queries to choose from, and the chosen one, which is part of `state_dict`."""

    chosen: Tensor
    """Chosen query, float64 (2,): 1 if weighted, and its scale."""

    def __init__(self, scale: float) -> None:
        """Start with the plain history.

        Args:
            scale: the configured scale, tried beside 1.
        """
        super().__init__()
        scales = dict.fromkeys((1.0, scale))
        self.options = tuple(Query(weighted, s) for weighted in (False, True) for s in scales)
        self.register_buffer("chosen", torch.tensor([0.0, 1.0], dtype=torch.float64))

    @property
    def query(self) -> Query:
        """The chosen query."""
        weighted, scale = self.chosen.tolist()
        return Query(bool(weighted), scale)

    def choose(self, query: Query) -> None:
        """Use `query` from now on."""
        self.chosen.copy_(torch.tensor([float(query.is_weighted), query.scale]))
