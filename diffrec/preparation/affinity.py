"""In which order of time do the held-out lists lie? The items themselves tell.

People take up related items one after the other, so items at a seam of a history are more akin than
items apart. If valid comes before test, the last valid items are akin to the first test items; if
the lists are exchanged, the last test items are akin to the first valid items. Both pairs hold one
item of either list, so noise that sits in one list alone weighs on both alike: comparing train's
end with the start of each list instead would call a list later merely for being noisier.

Akin is what EASE says: its weight between two items, made symmetric.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from diffrec.data.interactions import Interactions
from diffrec.models.baselines.gram import ease_weights, require_memory
from diffrec.runtime.seeding import generator

Order = Literal["in order", "exchanged", "undecided"]

MAX_ITEMS = 5000
"""Items beyond this many, the rarest, are left out: the item-to-item matrix is dense."""

ENDS = 3
"""Items taken from each end of a list."""

REGULARIZATION = 1000.0
_RESAMPLES = 1000
_CONFIDENCE = 0.99
_LEAST_EFFECT = 0.05
"""Least difference, in units of the affinity inside train, that is called an order."""


@dataclass(frozen=True, slots=True)
class OrderEvidence:
    """The affinities (EASE weights x 1000) at every seam, and what follows from them."""

    seams: dict[str, float]
    """Mean affinity of the last item of one list with the first of another, per seam."""

    difference: float
    """valid -> test minus test -> valid, over the `ENDS` items at each end, mean over users."""

    low: float
    high: float
    """Bootstrap interval of `difference` over users, 99 %."""

    users: int
    """Users with rows in both held-out lists."""

    items: int
    """Items of which the affinity was measured."""

    verdict: Order


def item_affinity(parts: tuple[Interactions, ...]) -> tuple[np.ndarray, tuple[Interactions, ...]]:
    """Return the affinity matrix and the lists, both cut to the `MAX_ITEMS` most frequent items.

    The matrix, float32 (items, items), is learned from all lists alike, so that none is favoured.
    """
    num_items = parts[0].num_items
    counts = sum(np.bincount(part.indices, minlength=num_items) for part in parts)
    kept = np.argsort(-counts, kind="stable")[:MAX_ITEMS]
    number = np.full(num_items, -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    cut = tuple(_renumber(part, number, len(kept)) for part in parts)
    require_memory(len(kept))
    pairs = np.concatenate([part.to_pairs() for part in cut])
    everything = Interactions.from_pairs(pairs, parts[0].num_users, len(kept))
    weights = 1000.0 * ease_weights(everything, REGULARIZATION).numpy()
    return ((weights + weights.T) / 2).astype(np.float32), cut


def time_order(
    affinity: np.ndarray, train: Interactions, valid: Interactions, test: Interactions
) -> OrderEvidence:
    """Weigh the seams between valid and test against each other; see the module's first lines.

    Args:
        affinity: from `item_affinity`, which also cuts the lists to its items.
        train: in time order within each user, like the others.
        valid: as it lies in the folder.
        test: as it lies in the folder.
    """
    both = np.flatnonzero((valid.lengths > 0) & (test.lengths > 0))
    valid_rows, test_rows = valid.select_users(both), test.select_users(both)
    difference = _seam(affinity, valid_rows, test_rows, ENDS) - _seam(
        affinity, test_rows, valid_rows, ENDS
    )
    mean, low, high = _bootstrap(difference)
    seams = _seams(affinity, train, valid, test)
    least = _LEAST_EFFECT * max(seams["inside train"], 0.0)
    verdict: Order = "undecided"
    if low > 0 and mean > least:
        verdict = "in order"
    elif high < 0 and mean < -least:
        verdict = "exchanged"
    return OrderEvidence(seams, mean, low, high, len(both), len(affinity), verdict)


def _seams(
    affinity: np.ndarray, train: Interactions, valid: Interactions, test: Interactions
) -> dict[str, float]:
    neighbours = train.positions()[1:] > 0
    inside = affinity[train.indices[:-1][neighbours], train.indices[1:][neighbours]]
    rng = generator(0, "random pairs")
    pool = np.concatenate([part.indices for part in (train, valid, test)])
    random = affinity[rng.choice(pool, 100_000), rng.choice(pool, 100_000)]
    parts = {"train": train, "valid": valid, "test": test}
    found = {"inside train": float(inside.mean()) if len(inside) else 0.0}
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test"), ("test", "valid")):
        users = np.flatnonzero((parts[one].lengths > 0) & (parts[other].lengths > 0))
        rows = (parts[one].select_users(users), parts[other].select_users(users))
        values = _seam(affinity, *rows, 1)
        found[f"last {one} -> first {other}"] = float(values.mean()) if len(values) else 0.0
    return found | {"random interactions": float(random.mean())}


def _seam(affinity: np.ndarray, earlier: Interactions, later: Interactions, n: int) -> np.ndarray:
    """Return, per user, the mean affinity of the last n of `earlier` with the first n of `later`.

    Rows must not be empty; a row with fewer than n items gives what it has.
    """
    rank = np.arange(n)
    last, is_last = earlier.indptr[1:, None] - 1 - rank, rank < earlier.lengths[:, None]
    first, is_first = later.indptr[:-1, None] + rank, rank < later.lengths[:, None]
    ends = earlier.indices[np.where(is_last, last, 0)]
    starts = later.indices[np.where(is_first, first, 0)]
    pairs = is_last[:, :, None] & is_first[:, None, :]
    values = affinity[ends[:, :, None], starts[:, None, :]] * pairs
    return values.sum(axis=(1, 2)) / np.maximum(pairs.sum(axis=(1, 2)), 1)


def _bootstrap(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and its bootstrap interval; zeros without values."""
    if not len(values):
        return 0.0, 0.0, 0.0
    rng = generator(0, "bootstrap")
    means = [rng.choice(values, len(values)).mean() for _ in range(_RESAMPLES)]
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(values.mean()), float(low), float(high)


def _renumber(part: Interactions, number: np.ndarray, num_items: int) -> Interactions:
    """Return the rows with items renumbered; those numbered -1 are dropped."""
    pairs = part.to_pairs()
    pairs[:, 1] = number[pairs[:, 1]]
    return Interactions.from_pairs(pairs[pairs[:, 1] >= 0], part.num_users, num_items)
