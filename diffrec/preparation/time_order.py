"""Order of valid and test in time: by timestamps, or else by the items themselves.

Without timestamps, four signs of order are measured on every user, each of which compares valid
and test by the same measure:

- seam: affinity from the end of valid to the start of test, minus that from test to valid;
- direction: how much more often valid's items stand before test's in other histories than after;
- recency: how much more valid has affinity with the end of train than with all of train,
  compared with the same of test;
- freshness: how much rarer test's items are in the train histories than valid's, since new items
  come in with time.

Noise in one list alone cannot pass for distance in time in the first three. It can in the fourth
(random items are rare), which is therefore only looked at where the three see no order.

Their values for either order are estimated from the dataset itself: the last items of each train
history are cut into two pieces of the sizes of the user's lists, in order and exchanged. The
weights of the signs are Fisher's linear discriminant of these two sets, and the error rate follows
from how far apart the sets are, in standard errors. If the dataset shows no order even in its train
histories, the verdict is "undecided".
"""

from dataclasses import dataclass
from math import erfc, exp, sqrt
from typing import Literal, NamedTuple

import numpy as np

from diffrec.data.interactions import Interactions
from diffrec.preparation.affinity import list_seams, seam
from diffrec.runtime.seeding import generator

Order = Literal["in order", "exchanged", "undecided"]
SIGNS = ("seam", "direction", "recency", "freshness")
_ROBUST = 3
"""The first signs, which noise in one list alone cannot move."""

_ALIKE = 1.05
"""Largest ratio of the lists' affinities with the history at which neither has noise alone."""

MAX_ERROR = 0.01
"""Largest error rate of a verdict other than "undecided"."""

MAX_USERS = 3000
"""Largest number of users compared, drawn at random if there are more."""

MIN_USERS = 30
_ENDS = 3
"""Items taken from each end of a list."""

_WINDOW = 10
"""Places in a history within which one item counts as before another."""

_LEAST_SCORE = 0.25
"""Least score of a verdict, in units of the train histories' score."""

_LEAST_PREFIX = 2
"""Train items that must be left before the two pieces."""


@dataclass(frozen=True, slots=True)
class OrderEvidence:
    """Evidence for an order of valid and test, and the verdict."""

    verdict: Order
    basis: Literal["timestamps", "items"]
    error_rate: float
    """Probability that the verdict, or whichever order looks likelier, is wrong."""

    users: int
    """Users that were compared."""

    earlier_valid: float | None = None
    """Share of the users, by timestamps, whose valid items are earlier than their test items."""

    score: float | None = None
    """Value of the discriminant on the lists themselves; 0 is halfway between the orders."""

    score_in_order: float | None = None
    score_exchanged: float | None = None
    """Its values on pieces of the train histories."""

    standard_error: float | None = None
    signs: dict[str, float] | None = None
    """Each sign's mean in standard errors; positive means valid before test."""

    seams: dict[str, float] | None = None
    """Mean affinity where the lists meet; see `affinity.list_seams`."""


def order_by_timestamps(
    lists: dict[str, tuple[np.ndarray, np.ndarray]], seams: dict[str, float] | None = None
) -> OrderEvidence:
    """Compare each user's median times of valid and test.

    Args:
        lists: users (n,) and times (n,) of `valid` and `test`.
        seams: part of the report.
    """
    users, starts = zip(*(_medians(*lists[name]) for name in ("valid", "test")), strict=True)
    common, valid_index, test_index = np.intersect1d(*users, return_indices=True)
    valid, test = starts[0][valid_index], starts[1][test_index]
    earlier, later = np.count_nonzero(valid < test), np.count_nonzero(valid > test)
    share = earlier / max(earlier + later, 1)
    # Sign test: how likely is a split as uneven as this, were the order a toss-up?
    deviation = abs(earlier - later) / sqrt(max(earlier + later, 1))
    error = 0.5 * erfc(deviation / sqrt(2))
    verdict: Order = "undecided"
    if error <= MAX_ERROR and max(share, 1 - share) >= 0.9:
        verdict = "in order" if share > 0.5 else "exchanged"
    return OrderEvidence(
        verdict, "timestamps", error, len(common), earlier_valid=float(share), seams=seams
    )


def order_by_items(
    affinity: np.ndarray, train: Interactions, valid: Interactions, test: Interactions
) -> OrderEvidence:
    """Return the verdict from the signs of order (see the module's docstring).

    Args:
        affinity: from `item_affinity`, which also cuts the lists to its items.
        train: in time order within each user, like the others.
        valid: the folder's valid list.
        test: the folder's test list.
    """
    seams = list_seams(affinity, train, valid, test)
    users = _comparable_users(train, valid, test)
    if len(users) < MIN_USERS:
        return OrderEvidence("undecided", "items", 0.5, len(users), seams=seams)
    parts = [part.select_users(users) for part in (train, valid, test)]
    prefix = _slice(parts[0], np.zeros(len(users), np.int64), _prefix_lengths(*parts))
    prefixes = _slice(
        train, np.zeros(train.num_users, np.int64), _prefix_lengths(train, valid, test)
    )
    signs = _Signs(affinity, _directions(prefixes), _rarity(prefixes))
    v, t = parts[1].lengths, parts[2].lengths
    begin = prefix.lengths
    in_order = (_slice(parts[0], begin, v), _slice(parts[0], begin + v, t))
    exchanged = (_slice(parts[0], begin + t, v), _slice(parts[0], begin, t))
    ordered, swapped = signs(prefix, *in_order), signs(prefix, *exchanged)
    del signs
    real = _Signs(affinity, _directions(train), _rarity(train))(*parts)
    evidence = _decide(ordered[:, :_ROBUST], swapped[:, :_ROBUST], real[:, :_ROBUST], seams)
    if evidence.verdict == "undecided" and _equally_noisy(affinity, *parts):
        fresh = _decide(ordered, swapped, real, seams)
        return evidence if fresh.verdict == "undecided" else fresh
    return evidence


def _decide(
    ordered: np.ndarray, swapped: np.ndarray, real: np.ndarray, seams: dict[str, float]
) -> OrderEvidence:
    """Return the verdict on `real`, (users, signs), by the two calibrated sets of that shape."""
    covariance = (np.cov(ordered.T) + np.cov(swapped.T)) / 2
    covariance += (1e-9 * np.trace(covariance) + 1e-30) * np.eye(len(covariance))
    distance = ordered.mean(axis=0) - swapped.mean(axis=0)
    weights = np.maximum(
        np.linalg.solve(covariance, distance), 0.0
    )  # a sign counts in one direction only
    scores = [part @ weights for part in (ordered, swapped, real)]
    centre = (scores[0].mean() + scores[1].mean()) / 2
    high, low, score = (float(part.mean() - centre) for part in scores)
    error_of_mean = max(float(part.std()) for part in scores) / sqrt(len(real))
    if error_of_mean == 0.0 or high <= low:
        error, verdict = 0.5, "undecided"
    else:
        separation = (high - low) / (2 * error_of_mean)
        by_chance = 0.5 * erfc(separation / sqrt(2))
        odds = min(abs(score) * (high - low) / error_of_mean**2, 700.0)
        no_order = 0.5 * erfc(abs(score) / error_of_mean / sqrt(2))  # the lists are mixed
        error = max(by_chance, no_order, 1 / (1 + exp(odds)))
        verdict = "undecided"
        if error <= MAX_ERROR and abs(score) >= _LEAST_SCORE * high:
            verdict = "in order" if score > 0 else "exchanged"
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.nan_to_num(real.mean(axis=0) / (real.std(axis=0) / sqrt(len(real))))
    return OrderEvidence(
        verdict,  # pyright: ignore[reportArgumentType]
        "items",
        error,
        len(real),
        score=score,
        score_in_order=high,
        score_exchanged=low,
        standard_error=error_of_mean,
        signs=dict(zip(SIGNS, means.tolist(), strict=False)),
        seams=seams,
    )


def _comparable_users(train: Interactions, valid: Interactions, test: Interactions) -> np.ndarray:
    """Return users with rows in both lists and a train history of twice their length."""
    enough = _prefix_lengths(train, valid, test) >= _LEAST_PREFIX
    users = np.flatnonzero(enough & (valid.lengths > 0) & (test.lengths > 0))
    if len(users) > MAX_USERS:
        users = np.sort(generator(0, "time order").choice(users, MAX_USERS, replace=False))
    return users


def _prefix_lengths(train: Interactions, valid: Interactions, test: Interactions) -> np.ndarray:
    return np.maximum(train.lengths - valid.lengths - test.lengths, 0)


def _slice(part: Interactions, begins: np.ndarray, lengths: np.ndarray) -> Interactions:
    """Return `lengths` items of each row, from place `begins` on."""
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    indices = np.arange(indptr[-1]) + np.repeat(part.indptr[:-1] + begins - indptr[:-1], lengths)
    return Interactions(len(lengths), part.num_items, indptr, part.indices[indices])


def _directions(histories: Interactions) -> np.ndarray:
    """Return float32 (items, items): the evidence that the row's item precedes the column's.

    (before - after) / sqrt(before + after + 1), counted over pairs within `_WINDOW` places.
    """
    from scipy.sparse import coo_array

    shape = (histories.num_items, histories.num_items)
    counts = np.zeros(shape, dtype=np.float32)
    users = histories.users()
    for distance in range(1, _WINDOW + 1):
        same = users[:-distance] == users[distance:]
        earlier, later = histories.indices[:-distance][same], histories.indices[distance:][same]
        ones = np.ones(len(earlier), dtype=np.float32)
        counts += coo_array((ones, (earlier, later)), shape=shape).toarray()
    total = counts + counts.T
    total += 1.0
    np.sqrt(total, out=total)
    return (counts - counts.T) / total


class _Signs(NamedTuple):
    """Measures the signs by what a set of histories says of the items."""

    affinity: np.ndarray
    directions: np.ndarray
    rarity: np.ndarray

    def __call__(
        self, history: Interactions, first: Interactions, second: Interactions
    ) -> np.ndarray:
        """Return (users, 4), the signs that `first` comes before `second` after `history`."""
        ends = np.minimum(history.lengths, _ENDS)
        recent = _slice(history, history.lengths - ends, ends)
        values = np.empty((first.num_users, len(SIGNS)))
        forward = seam(self.affinity, first, second, _ENDS)
        values[:, 0] = forward - seam(self.affinity, second, first, _ENDS)
        values[:, 1] = _pair_means(self.directions, first, second)
        shares = []
        for part in (first, second):
            # In units of the list's own affinity with the whole history: noise shrinks both alike.
            unit = abs(_pair_means(self.affinity, history, part).mean())
            shares.append(_pair_means(self.affinity, recent, part) / max(unit, 1e-12))
        values[:, 2] = shares[0] - shares[1]
        values[:, 3] = _row_means(self.rarity, second) - _row_means(self.rarity, first)
        return values


def _rarity(histories: Interactions) -> np.ndarray:
    """Return 1 / (1 + number of its interactions) of each item."""
    return 1 / (1 + np.bincount(histories.indices, minlength=histories.num_items))


def _row_means(values: np.ndarray, rows: Interactions) -> np.ndarray:
    sums = np.bincount(rows.users(), weights=values[rows.indices], minlength=rows.num_users)
    return sums / np.maximum(rows.lengths, 1)


def _equally_noisy(
    affinity: np.ndarray, history: Interactions, first: Interactions, second: Interactions
) -> bool:
    """Return whether both lists fit the histories alike; noise in one alone would lower its fit."""
    fits = [float(_pair_means(affinity, history, part).mean()) for part in (first, second)]
    return 0.0 < max(fits) <= _ALIKE * min(fits)


def _pair_means(matrix: np.ndarray, first: Interactions, second: Interactions) -> np.ndarray:
    """Return, per user, the mean of the matrix over all pairs of an item of each."""
    counts = first.lengths * second.lengths
    sums = np.zeros(len(counts))
    stop = 0
    while stop < len(counts):  # blocks of users, for the memory of their pairs
        start = stop
        stop = max(start + 1, int(np.searchsorted(np.cumsum(counts[start:]), 5_000_000)) + start)
        block = np.arange(start, min(stop, len(counts)))
        num_pairs = counts[block]
        owner = np.repeat(block, num_pairs)
        index = np.arange(num_pairs.sum()) - np.repeat(np.cumsum(num_pairs) - num_pairs, num_pairs)
        row, column = np.divmod(index, second.lengths[owner])
        values = matrix[
            first.indices[first.indptr[owner] + row], second.indices[second.indptr[owner] + column]
        ]
        sums += np.bincount(owner, weights=values, minlength=len(counts))
    return sums / np.maximum(counts, 1)


def _medians(users: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct users, ascending, and the (lower) median time of each."""
    order = np.lexsort((times, users))
    distinct, starts, counts = np.unique(users[order], return_index=True, return_counts=True)
    return distinct, times[order][starts + (counts - 1) // 2]
