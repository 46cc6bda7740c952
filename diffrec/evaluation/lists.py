"""Recommendation lists of any system, as a ranking for our metrics."""

from dataclasses import dataclass

import numpy as np

from diffrec.errors import UserError


@dataclass(frozen=True, slots=True)
class RankedLists:
    """Recommendations as an array, one row per user of the dataset."""

    ranking: np.ndarray
    """int64 (num_users, longest list): best item first, -1 after a list's end."""

    users: int
    """Number of users with a list."""


def ranked_lists(
    users: np.ndarray, items: np.ndarray, order: np.ndarray, num_users: int
) -> RankedLists:
    """Return the lists, each sorted by `order` (rank: the lowest first; negate scores).

    Args:
        users: user ids, int64 (n,).
        items: item ids, int64 (n,).
        order: sort key of each row, (n,).
        num_users: number of users in the dataset.

    Raises:
        UserError: an item is recommended twice to a user.
    """
    sorting = np.lexsort((np.arange(len(users)), order, users))
    users, items = users[sorting], items[sorting]
    keys = np.sort(users * (int(items.max(initial=0)) + 1) + items)
    if num_repeats := int(np.count_nonzero(keys[1:] == keys[:-1])):
        raise UserError(
            f"Each item must be recommended to a user once, but {num_repeats} rows repeat one; "
            "keep the best rank of each."
        )
    lengths = np.bincount(users, minlength=num_users)
    rank = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    ranking = np.full((num_users, max(1, int(lengths.max(initial=0)))), -1, dtype=np.int64)
    ranking[users, rank] = items
    return RankedLists(ranking, int(np.count_nonzero(lengths)))
