"""A guard before weighted queries: which query a trained recommender uses is told by validation.

Weights by recency help where time matters and harm where it does not, and so does a scale of the
query other than one. A guarded recommender is therefore validated with each, and keeps the best;
the plain history at scale one is always among them, and wins where all are equal.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Query(NamedTuple):
    """How a trained network is queried with a history."""

    is_weighted: bool
    """Whether interactions have their weights, or ones."""

    scale: float
    """Factor on the history."""


class QueryChoice(nn.Module):
    """The queries to choose among and the chosen one, which travels with `state_dict`."""

    chosen: Tensor
    """float64 (2,): whether it is weighted, its scale."""

    def __init__(self, scale: float) -> None:
        """Start with the plain history.

        Args:
            scale: the configured one, which is tried beside 1.
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
