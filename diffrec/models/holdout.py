"""Holdout of the newest interactions of some users, on which the recency weights W are fitted.

The network has memorised the later items of the histories that it was trained on, and W fitted on
them overrates old items. Holding out whole users would lose them for the network; here it is
trained on all users, on some without the last part of their history.
"""

import numpy as np

from diffrec.config import TemporalConfig
from diffrec.data.interactions import Interactions
from diffrec.models.recency import CUT_RANGE, select_interactions
from diffrec.runtime.seeding import generator


def holdout_mask(train: Interactions, share: float, seed: int) -> np.ndarray:
    """Return a mask of the users that only W is fitted on, (num_users,), equal at every call."""
    mask = np.zeros(train.num_users, dtype=bool)
    if share > 0:
        users = np.flatnonzero(train.lengths >= 2)
        count = min(max(1, round(share * len(users))), max(len(users) - 1, 0))
        mask[generator(seed, "future_holdout").choice(users, count, replace=False)] = True
    return mask


def visible_lengths(
    config: TemporalConfig, train: Interactions, holdout: np.ndarray, seed: int
) -> np.ndarray | None:
    """Return int64 (num_users,): how many interactions of each user the network may see.

    None: all of them, if nothing or whole users are held out.

    Args:
        config: temporal settings, with the holdout.
        train: train interactions.
        holdout: mask of the users that W is fitted on, (num_users,).
        seed: the run's.
    """
    if config.future_holdout == 0 or config.future_holdout_unit == "users":
        return None
    lengths = train.lengths
    share = generator(seed, "future_holdout", "cuts").uniform(*CUT_RANGE, size=train.num_users)
    cuts = np.clip((lengths * share).astype(np.int64), 1, np.maximum(lengths - 1, 1))
    return np.where(holdout, cuts, lengths)


def truncate_histories(train: Interactions, lengths: np.ndarray) -> Interactions:
    """Return each history's first `lengths` interactions, (num_users,)."""
    return select_interactions(train, train.positions() < lengths[train.users()])
