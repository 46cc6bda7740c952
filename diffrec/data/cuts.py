"""Cuts of histories into a weighted past and a discounted future, vectorised over compressed rows.

Nothing of shape (cuts, num_items) is made, and no Python loop runs over users or cuts: a batch of
cuts costs time and memory in proportion to the interactions that it holds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from diffrec.config.forecasting import ForecastTaskConfig
from diffrec.data.decay import half_life_weights
from diffrec.data.interactions import Interactions
from diffrec.errors import UserError

FIXED_SHARE = 0.8
"""Share of a history before its cut if all histories are cut at the same share."""


@dataclass(frozen=True, slots=True, eq=False)
class WeightedRows:
    """Sparse rows: row r holds `weights[indptr[r]:indptr[r + 1]]` at these `items`."""

    indptr: np.ndarray
    """int64 (num_rows + 1,)."""

    items: np.ndarray
    """int64 (nnz,); no item twice in a row."""

    weights: np.ndarray
    """float32 (nnz,)."""

    @property
    def num_rows(self) -> int:
        """Number of rows, empty ones included."""
        return len(self.indptr) - 1

    def rows(self) -> np.ndarray:
        """Return int64 (nnz,): the row of each entry."""
        return np.repeat(np.arange(self.num_rows), np.diff(self.indptr))

    def cells(self, num_items: int) -> np.ndarray:
        """Return int64 (nnz,): where each entry stands in dense rows, one row after the other."""
        return self.rows() * num_items + self.items

    def part(self, start: int, stop: int) -> "WeightedRows":
        """Return rows `start` to `stop`, the latter left out."""
        low, high = self.indptr[start], self.indptr[stop]
        indptr = self.indptr[start : stop + 1] - low
        return WeightedRows(indptr, self.items[low:high], self.weights[low:high])


class Cuts(NamedTuple):
    """Cut histories, a row each."""

    past: WeightedRows
    """Input of the network."""

    future: WeightedRows
    """Target of the network; each row sums to one."""

    seen: WeightedRows | None
    """The whole past, weights one; None if it is not masked."""

    @property
    def num_rows(self) -> int:
        """Number of cuts."""
        return self.past.num_rows

    def part(self, start: int, stop: int) -> "Cuts":
        """Return cuts `start` to `stop`, the latter left out."""
        seen = None if self.seen is None else self.seen.part(start, stop)
        return Cuts(self.past.part(start, stop), self.future.part(start, stop), seen)


class CutSampler:
    """Draws cuts of train histories."""

    def __init__(self, history: Interactions, task: ForecastTaskConfig) -> None:
        """Prepare the draws.

        Args:
            history: train interactions.
            task: rule of the cuts, and weights of past and future.

        Raises:
            UserError: no history has two interactions.
        """
        self._history, self._task = history, task
        self._users = np.flatnonzero(history.lengths >= 2)
        if not len(self._users):
            raise UserError(
                "A forecasting recommender learns from train histories of two interactions or "
                "more, but no user has any; use another split or another model."
            )
        self._cut_ends = np.cumsum(history.lengths[self._users] - 1)

    @property
    def num_users(self) -> int:
        """Number of users with a history that can be cut."""
        return len(self._users)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return int64 (count,): the newest interaction before each cut, by its place in train."""
        starts, lengths = self._history.indptr[self._users], self._history.lengths[self._users]
        if self._task.cuts == "interactions":
            index = rng.integers(0, self._cut_ends[-1], count)
            user = np.searchsorted(self._cut_ends, index, side="right")
            return starts[user] + index - (self._cut_ends[user] - (lengths[user] - 1))
        user = rng.integers(0, len(self._users), count)
        if self._task.cuts == "users":
            return starts[user] + rng.integers(0, lengths[user] - 1)
        num_past = np.clip((FIXED_SHARE * lengths[user]).astype(np.int64), 1, lengths[user] - 1)
        return starts[user] + num_past - 1

    def cut(self, positions: np.ndarray, rng: np.random.Generator) -> Cuts:
        """Cut histories after interactions at `positions`, (count,), and drop parts of pasts."""
        task, history = self._task, self._history
        user = np.searchsorted(history.indptr, positions, side="right") - 1
        num_before, num_after = (
            positions - history.indptr[user],
            history.indptr[user + 1] - 1 - positions,
        )
        past = _newest(
            history.indices, positions, np.minimum(num_before + 1, task.past_items), task
        )
        if task.past_dropout > 0:
            newest = np.zeros(len(past.items), dtype=bool)
            newest[past.indptr[1:] - 1] = True
            past = _filter_entries(
                past, (rng.random(len(past.items)) >= task.past_dropout) | newest
            )
        seen = None
        if task.mask_past:
            indptr, indices = _windows(positions - num_before, num_before + 1)
            seen = _unweighted(indptr, history.indices[indices])
        indptr, indices = _windows(positions + 1, np.minimum(num_after, task.future_items))
        return Cuts(past, _future(indptr, history.indices[indices], task), seen)


def query_rows(history: Interactions, task: ForecastTaskConfig) -> WeightedRows:
    """Return whole histories as a trained network is queried with them: recent items, weighted."""
    ends = history.indptr[1:] - 1
    return _newest(history.indices, ends, np.minimum(history.lengths, task.past_items), task)


def seen_rows(history: Interactions) -> WeightedRows:
    """Return whole histories with weights of one."""
    return _unweighted(history.indptr, history.indices)


def _newest(
    indices: np.ndarray, ends: np.ndarray, lengths: np.ndarray, task: ForecastTaskConfig
) -> WeightedRows:
    """Return the `lengths` interactions up to and with the places `ends`, weighted by age."""
    indptr, positions = _windows(ends - lengths + 1, lengths)
    ages = np.repeat(ends, lengths) - positions
    weights = half_life_weights(ages, task.past_half_life).astype(np.float32)
    return WeightedRows(indptr, indices[positions].astype(np.int64), weights)


def _future(indptr: np.ndarray, items: np.ndarray, task: ForecastTaskConfig) -> WeightedRows:
    """Return the future with discounted weights that sum to one in each row."""
    lengths = np.diff(indptr)
    waits = np.arange(len(items)) - np.repeat(indptr[:-1], lengths)
    weights = half_life_weights(waits, task.future_half_life)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    weights /= np.bincount(rows, weights, minlength=len(lengths))[rows]
    return WeightedRows(indptr, items.astype(np.int64), weights.astype(np.float32))


def _windows(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (indptr, places starts[r], starts[r] + 1, ... of each row r, one after another)."""
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return indptr, np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)


def _unweighted(indptr: np.ndarray, items: np.ndarray) -> WeightedRows:
    return WeightedRows(indptr, items.astype(np.int64), np.ones(len(items), dtype=np.float32))


def _filter_entries(rows: WeightedRows, mask: np.ndarray) -> WeightedRows:
    indptr = np.concatenate(([0], np.cumsum(mask)))[rows.indptr]
    return WeightedRows(indptr.astype(np.int64), rows.items[mask], rows.weights[mask])
