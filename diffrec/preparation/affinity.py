"""Affinity of items by co-occurrence, and its mean where two lists meet.

People take up related items one after the other, so items at a seam of a history (the last item of
one list, the first of the next) have more affinity than items apart.

Affinity is EASE's weight between two items, made symmetric, x 1000.
"""

import numpy as np

from diffrec.data.interactions import Interactions
from diffrec.models.baselines.gram import ease_weights, require_memory
from diffrec.runtime.seeding import generator

MAX_ITEMS = 5000
"""Items beyond this many, the rarest, are left out: the item-to-item matrix is dense."""

REGULARIZATION = 1000.0


def item_affinity(parts: tuple[Interactions, ...]) -> tuple[np.ndarray, tuple[Interactions, ...]]:
    """Return the affinity matrix and the lists, both cut to the `MAX_ITEMS` most frequent items.

    The matrix, float32 (items, items), is computed from all lists, so that none is favoured.
    """
    num_items = parts[0].num_items
    counts = sum(np.bincount(part.indices, minlength=num_items) for part in parts)
    frequent = np.argsort(-counts, kind="stable")[:MAX_ITEMS]
    new_ids = np.full(num_items, -1, dtype=np.int64)
    new_ids[frequent] = np.arange(len(frequent))
    reduced = tuple(_renumber(part, new_ids, len(frequent)) for part in parts)
    require_memory(len(frequent))
    pairs = np.concatenate([part.to_pairs() for part in reduced])
    merged = Interactions.from_pairs(pairs, parts[0].num_users, len(frequent))
    weights = 1000.0 * ease_weights(merged, REGULARIZATION).numpy()
    return ((weights + weights.T) / 2).astype(np.float32), reduced


def list_seams(
    affinity: np.ndarray, train: Interactions, valid: Interactions, test: Interactions
) -> dict[str, float]:
    """Return the mean affinity inside train, where the lists meet, and of random pairs."""
    neighbours = train.positions()[1:] > 0
    inside = affinity[train.indices[:-1][neighbours], train.indices[1:][neighbours]]
    rng = generator(0, "random pairs")
    pool = np.concatenate([part.indices for part in (train, valid, test)])
    random = affinity[rng.choice(pool, 100_000), rng.choice(pool, 100_000)]
    parts = {"train": train, "valid": valid, "test": test}
    means = {"inside train": float(inside.mean()) if len(inside) else 0.0}
    for earlier, later in (
        ("train", "valid"),
        ("train", "test"),
        ("valid", "test"),
        ("test", "valid"),
    ):
        users = np.flatnonzero((parts[earlier].lengths > 0) & (parts[later].lengths > 0))
        rows = (parts[earlier].select_users(users), parts[later].select_users(users))
        values = seam(affinity, *rows, 1)
        means[f"last {earlier} -> first {later}"] = float(values.mean()) if len(values) else 0.0
    return means | {"random interactions": float(random.mean())}


def seam(affinity: np.ndarray, earlier: Interactions, later: Interactions, n: int) -> np.ndarray:
    """Return, per user, the mean affinity of the last n of `earlier` with the first n of `later`.

    Rows must not be empty; a row with fewer than n items uses all of them.
    """
    rank = np.arange(n)
    last, is_last = earlier.indptr[1:, None] - 1 - rank, rank < earlier.lengths[:, None]
    first, is_first = later.indptr[:-1, None] + rank, rank < later.lengths[:, None]
    ends = earlier.indices[np.where(is_last, last, 0)]
    starts = later.indices[np.where(is_first, first, 0)]
    pairs = is_last[:, :, None] & is_first[:, None, :]
    values = affinity[ends[:, :, None], starts[:, None, :]] * pairs
    return values.sum(axis=(1, 2)) / np.maximum(pairs.sum(axis=(1, 2)), 1)


def _renumber(part: Interactions, new_ids: np.ndarray, num_items: int) -> Interactions:
    """Return the rows with items renumbered; those numbered -1 are dropped."""
    pairs = part.to_pairs()
    pairs[:, 1] = new_ids[pairs[:, 1]]
    return Interactions.from_pairs(pairs[pairs[:, 1] >= 0], part.num_users, num_items)
