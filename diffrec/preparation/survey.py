"""Statistics of the three lists: counts, faults, skew, and each list's fit to its users' taste."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from diffrec.data.interactions import Interactions
from diffrec.runtime.seeding import generator

_SAMPLED_USERS = 1000
_NOTABLE_DRIFT = 0.02


@dataclass(frozen=True, slots=True)
class ListStatistics:
    """Statistics of one list."""

    rows: int
    share: float
    """Share of all rows."""

    users: int
    items: int
    """With at least one row."""

    repeated: int
    """Rows that occur before in the same list."""

    cold_users: int
    cold_items: int
    """Items of this list without a train row."""

    cold_rows: int
    """Rows with an item that train lacks: no model has learned to rank it."""


def survey_lists(
    pairs: Mapping[str, np.ndarray],
) -> tuple[dict[str, ListStatistics], dict[str, int]]:
    """Return a survey per list, and the number of rows common to every two of them.

    Args:
        pairs: integer (n, 2) rows of [user, item] per list; `train` is one of them. No other check
            is required: the folder may be broken.
    """
    total = sum(map(len, pairs.values()))
    base = 1 + max((int(rows[:, 1].max()) for rows in pairs.values() if len(rows)), default=0)
    keys = {name: rows[:, 0] * base + rows[:, 1] for name, rows in pairs.items()}
    train = pairs["train"]
    statistics: dict[str, ListStatistics] = {}
    for name, rows in pairs.items():
        is_cold = ~np.isin(rows[:, 1], train[:, 1])
        users = np.unique(rows[:, 0])
        statistics[name] = ListStatistics(
            rows=len(rows),
            share=len(rows) / max(total, 1),
            users=len(users),
            items=len(np.unique(rows[:, 1])),
            repeated=len(rows) - len(np.unique(keys[name])),
            cold_users=int(np.count_nonzero(~np.isin(users, train[:, 0]))),
            cold_items=len(np.unique(rows[is_cold, 1])),
            cold_rows=int(np.count_nonzero(is_cold)),
        )
    common = {
        f"{first} and {second}": len(np.intersect1d(keys[first], keys[second]))
        for first, second in combinations(pairs, 2)
    }
    return statistics, common


@dataclass(frozen=True, slots=True)
class Skew:
    """Unevenness of the items' popularity in train."""

    gini: float
    """0 when all items are alike, towards 1 when one item has everything."""

    head_share: float
    """Share of train rows on the most popular fifth of the items."""


def popularity_skew(train: np.ndarray, num_items: int) -> Skew:
    """Return the skew of train rows, integer (n, 2), over all `num_items` items."""
    counts = np.sort(np.bincount(train[:, 1], minlength=num_items))
    ranks = np.arange(1, num_items + 1)
    gini = float((2 * ranks - num_items - 1) @ counts / (num_items * max(counts.sum(), 1)))
    head = counts[num_items - max(1, num_items // 5) :]
    return Skew(gini, float(head.sum() / max(counts.sum(), 1)))


def taste_fit(affinity: np.ndarray, parts: Mapping[str, Interactions]) -> dict[str, float]:
    """Return, per list, how often its items fit the user better than random items do: 0.5 to 1.

    An item's fit is its affinity with all the user's other items. A random item fits better than
    another one half of the time, so a share p of random noise draws the value p of the way towards
    0.5: lists of different value hold different shares of noise.
    """
    first = next(iter(parts.values()))
    rng = generator(0, "taste fit")
    size = min(_SAMPLED_USERS, first.num_users)
    users = np.sort(rng.choice(first.num_users, size, replace=False))
    is_owned = np.zeros((size, first.num_items), dtype=bool)
    for part in parts.values():
        is_owned |= part.select_users(users).to_csr().toarray() > 0
    fit = is_owned.astype(np.float32) @ affinity
    sums, counts = dict.fromkeys(parts, 0.0), dict.fromkeys(parts, 0)
    for row, user in enumerate(users):
        random_fits = np.sort(fit[row, ~is_owned[row]])
        if not len(random_fits):
            continue
        for name, part in parts.items():
            ranks = np.searchsorted(random_fits, fit[row, part.items_of(user)])
            sums[name] += float(ranks.sum()) / len(random_fits)
            counts[name] += len(ranks)
    return {name: sums[name] / max(counts[name], 1) for name in parts}


def noise_drift(fit: Mapping[str, float]) -> str:
    """Return a sentence on `taste_fit`'s values: whether the lists hold different noise."""
    best = max(fit, key=fit.__getitem__)
    worse = [name for name in fit if fit[best] - fit[name] > _NOTABLE_DRIFT]
    if not worse:
        return "the lists fit their users' taste alike"
    names = " and ".join(worse)
    return (
        f"{names} fit their users' taste less than {best}: they hold more noise or are further "
        "away in time"
    )
