"""DirectedRidge: the best linear map from weighted pasts to discounted futures, in closed form.

Over every cut of every train history (after each interaction but the last), with the past y and the
future x_0 as weighted item vectors,

    B = (sum w_u y y' + lambda I)^-1 sum w_u y x_0'

where y has weight 2^(-age / past_half_life) on the newest `past_items` items, x_0 has weight
2^(-wait / future_half_life) on the next `future_items`, and w_u = n_u^(-user_exponent) for a user
of n_u items, rescaled to a mean of one over interactions. Cuts are never built: both sums depend
only on pairs of items of one user and their distance, so there is one pass per distance. Gaussian
noise of variance sigma^2 on N pasts would add N sigma^2 I, so B is the linear denoiser of a bridge
from the future to the past (`diffrec.diffusion.bridge`).

EASE (Steck, WWW 2019) regresses histories on themselves; this regresses the future on the past.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffrec.config.baselines import DirectedRidgeConfig
from diffrec.data.decay import half_life_weights
from diffrec.data.interactions import Interactions
from diffrec.errors import UserError
from diffrec.models.base import Recommender
from diffrec.models.baselines.gram import require_memory
from diffrec.models.weighted_history import weighted_sums

_CELLS_PER_BLOCK = 2**25
"""Cells of the past-to-future sums made at a time: 256 MiB in float64."""


class DirectedRidge(Recommender):
    """Scores y @ B / popularity^popularity_exponent, y the weighted newest items of a history."""

    weights: Tensor

    def __init__(self, config: DirectedRidgeConfig, num_items: int) -> None:
        """Allocate B.

        Raises:
            UserError: the dense matrices do not fit into memory.
        """
        super().__init__(config, num_items)
        _require_memory(num_items, torch.device("cpu"))
        self.register_buffer("weights", torch.zeros(num_items, num_items))

    def fit(self, train: Interactions) -> None:
        """Solve in float64, a block of columns at a time.

        Raises:
            UserError: no history has two interactions, or memory does not suffice.
        """
        if not (train.lengths >= 2).any():
            raise UserError(
                "DirectedRidge learns from train histories of two interactions or more, but no "
                "user has any; use another split or another model."
            )
        device = self.weights.device
        _require_memory(train.num_items, device)
        pairs = _Pairs(train, self.config)
        gram = torch.from_numpy(pairs.past_products()).to(device)
        gram.diagonal().add_(self.config.regularization)
        factor = torch.linalg.cholesky(gram, out=gram)
        popularity = 1.0 + np.bincount(train.indices, minlength=train.num_items)
        scale = torch.from_numpy(popularity**-self.config.popularity_exponent).to(device)
        width = max(1, _CELLS_PER_BLOCK // train.num_items)
        for start in range(0, train.num_items, width):
            columns = slice(start, min(start + width, train.num_items))
            cross = torch.from_numpy(pairs.past_to_future(columns)).to(device)
            solution = torch.cholesky_solve(cross, factor) * scale[columns]
            self.weights[:, columns] = solution.to(self.weights.dtype)

    @torch.no_grad()
    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items)."""
        rows = history.select_users(users)
        ages = rows.ages()
        weights = half_life_weights(ages, self.config.past_half_life)
        weights = np.where(ages < self.config.past_items, weights, 0.0).astype(np.float32)
        return weighted_sums(rows.indices, rows.indptr, weights, self.weights)


def _require_memory(num_items: int, device: torch.device) -> None:
    alternative = "F-DiffRec, whose memory grows with the items and not with their square"
    require_memory(num_items, device, model="DirectedRidge", alternative=alternative)


class _Distance(NamedTuple):
    """Pairs of items of one user at one distance: ids, and the place of the newer one in train."""

    older: np.ndarray
    newer: np.ndarray
    newer_index: np.ndarray


class _Pairs:
    """Sums over all cuts, from pairs of interactions by their distance."""

    def __init__(self, train: Interactions, config: DirectedRidgeConfig) -> None:
        self._train, self._items = train, train.indices.astype(np.int64)
        self._users, self._to_end = train.users(), train.ages()
        weight = np.maximum(train.lengths, 1.0) ** -config.user_exponent
        weight = weight[self._users]
        self._user_weight = weight / weight.mean()
        self._decay = 0.5 ** (1 / config.past_half_life)
        self._past_items, self._future_items = config.past_items, config.future_items
        self._wait_decay = 0.5 ** (1 / config.future_half_life)

    def past_products(self) -> np.ndarray:
        """Return sum w y y' over all cuts, float64 (num_items, num_items)."""
        count = self._train.num_items
        flat = np.zeros(count * count)
        for distance in range(1, self._past_items):
            pairs = self._at_distance(distance)
            # cuts that see both: the newer one has age 0, 1, ... and the older is still in reach
            cuts = np.minimum(self._to_end[pairs.newer_index], self._past_items - distance)
            value = (
                self._user_weight[pairs.newer_index] * self._decay**distance * self._squares(cuts)
            )
            np.add.at(flat, pairs.older * count + pairs.newer, value)
        products = flat.reshape(count, count)
        products += products.T.copy()
        diagonal = self._user_weight * self._squares(np.minimum(self._to_end, self._past_items))
        products[np.diag_indices(count)] += np.bincount(self._items, diagonal, minlength=count)
        return products

    def past_to_future(self, columns: slice) -> np.ndarray:
        """Return sum w y x_0' over all cuts, float64 (num_items, num of these columns)."""
        ages = self._decay ** np.arange(self._past_items)
        waits = self._wait_decay ** np.arange(self._future_items)
        by_distance = np.convolve(ages, waits)  # a cut anywhere between two items
        width = columns.stop - columns.start
        flat = np.zeros(self._train.num_items * width)
        for distance, value in enumerate(by_distance, start=1):
            older, newer, newer_index = self._at_distance(distance)
            if width < self._train.num_items:
                in_columns = (newer >= columns.start) & (newer < columns.stop)
                older, newer, newer_index = (
                    older[in_columns],
                    newer[in_columns],
                    newer_index[in_columns],
                )
            cells = older * width + (newer - columns.start)
            np.add.at(flat, cells, value * self._user_weight[newer_index])
        return flat.reshape(-1, width)

    def _at_distance(self, distance: int) -> _Distance:
        same = np.flatnonzero(self._users[:-distance] == self._users[distance:])
        return _Distance(self._items[same], self._items[same + distance], same + distance)

    def _squares(self, count: np.ndarray) -> np.ndarray:
        """Return 1 + r^2 + ... of `count` terms, where r is the decay of the past."""
        ratio = self._decay**2
        return (1 - ratio**count) / (1 - ratio)
