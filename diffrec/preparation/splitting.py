"""Filters users and items and splits events into lists; numpy only.

Rows are by user and in order of time throughout, so an array's order is the order of time.
"""

from dataclasses import dataclass

import numpy as np

from diffrec.errors import UserError
from diffrec.preparation.events import Events
from diffrec.preparation.reading.times import parse_moment
from diffrec.preparation.settings import PrepareSettings
from diffrec.runtime.seeding import generator

TRAIN, VALID, TEST, DROPPED = 0, 1, 2, -1


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Rows of all three lists in one, rows by user and in order of time."""

    users: np.ndarray
    items: np.ndarray
    """int32 (n,): numbered from 0 without gaps."""

    times: np.ndarray
    part: np.ndarray
    """int8 (n,): TRAIN, VALID or TEST."""

    user_ids: np.ndarray
    item_ids: np.ndarray
    """Original ids, by our number."""

    counts: dict[str, int]
    """Counts of what was kept and dropped, for the manifest."""


def split_events(events: Events, is_true: np.ndarray, settings: PrepareSettings) -> Lists:
    """Return the lists of `events`.

    Args:
        events: by user, in order of time.
        is_true: bool (n,), which of them are interactions; the others are natural noise.
        settings: bounds, split and noise.

    Raises:
        UserError: no user is left after filtering, or a held-out list is empty.
    """
    true_rows = np.flatnonzero(is_true)
    core_rows = true_rows[_dense_core(events, true_rows, settings)]
    if not len(core_rows):
        raise UserError(
            f"No user is left with {settings.min_user_interactions} interactions on items with "
            f"{settings.min_item_interactions}, of {len(true_rows)} interactions in all; lower "
            "the bounds or the threshold."
        )
    part = np.full(len(events.users), DROPPED, dtype=np.int8)
    part[core_rows] = _assign_lists(events, core_rows, settings)
    counts = {
        "rows read": events.rows_read,
        "repeated rows dropped": events.repeated,
        "interactions": len(true_rows),
        "interactions within the bounds": len(core_rows),
    }
    if settings.noisy:
        counts["natural noise kept"] = _keep_natural_noise(events, part, is_true)
    _drop_users_without_train(events.users, part)
    rows = np.flatnonzero(part >= 0)
    columns = [events.users[rows], events.items[rows], events.times[rows], part[rows]]
    if settings.random_noise:
        true_in_part = np.bincount(part[rows][is_true[rows]], minlength=3)
        noise = _random_noise(columns, len(events.item_ids), true_in_part, settings)
        counts["random noise added"] = len(noise[0])
        columns = _merge(columns, noise)
    return number_rows(columns, events, counts)


def _dense_core(events: Events, rows: np.ndarray, settings: PrepareSettings) -> np.ndarray:
    """Return a mask of the `rows` left after dropping users and items below the bounds in turn."""
    users, items = events.users[rows], events.items[rows]
    is_kept = np.ones(len(rows), dtype=bool)
    while True:
        by_user = np.bincount(users[is_kept], minlength=len(events.user_ids))
        by_item = np.bincount(items[is_kept], minlength=len(events.item_ids))
        meets_bounds = (by_user >= settings.min_user_interactions)[users]
        meets_bounds &= (by_item >= settings.min_item_interactions)[items]
        if np.array_equal(is_kept, is_kept & meets_bounds):
            return is_kept
        is_kept &= meets_bounds


def _assign_lists(events: Events, rows: np.ndarray, settings: PrepareSettings) -> np.ndarray:
    """Return the list of each interaction at `rows`."""
    if settings.moments is not None:
        if not events.has_times:
            raise UserError(
                "A split by timestamp needs timestamps, but the source has none; split by ratio "
                "(in the source's order) instead."
            )
        unit = events.report.time_unit or ""
        begins = [parse_moment(moment, unit) for moment in settings.moments]
        if begins[0] > begins[1]:
            raise UserError(
                f"Valid must begin before test, but {' and '.join(settings.moments)} were given."
            )
        return np.searchsorted(begins, events.times[rows], side="right")
    users = events.users[rows]
    lengths = np.bincount(users, minlength=len(events.user_ids))
    if settings.split == "ratio":
        shares = np.array(settings.ratio) / sum(settings.ratio)
        num_test = np.floor(lengths * shares[2] + 0.5).astype(np.int64)
        num_valid = np.floor(lengths * shares[1] + 0.5).astype(np.int64)
    else:
        num_valid, num_test = (np.full(len(lengths), n) for n in settings.leave_last)
    ends = np.cumsum(lengths)
    remaining = ends[users] - np.arange(len(users))  # 1 for a user's last
    held_out = remaining <= (num_test + num_valid)[users]
    return np.where(remaining <= num_test[users], TEST, np.where(held_out, VALID, TRAIN))


def _keep_natural_noise(events: Events, part: np.ndarray, is_true: np.ndarray) -> int:
    """Put rows below the threshold into train or valid, in place; return their number.

    Rows after a user's first test item are dropped: test has no noise, and train and valid
    have nothing later than test.
    """
    first = {}
    for name in (VALID, TEST):
        rows = np.flatnonzero(part == name)
        first[name] = np.full(len(events.user_ids), len(part))
        np.minimum.at(first[name], events.users[rows], rows)
    is_kept_user = np.zeros(len(events.user_ids), dtype=bool)
    is_kept_user[events.users[part == TRAIN]] = True
    rows = np.flatnonzero(~is_true & is_kept_user[events.users])
    users = events.users[rows]
    before_test = rows < first[TEST][users]
    before_valid = before_test & (rows < first[VALID][users])
    part[rows[before_test]] = VALID
    part[rows[before_valid]] = TRAIN
    return int(np.count_nonzero(before_test))


def _drop_users_without_train(users: np.ndarray, part: np.ndarray) -> None:
    """Drop, in place, users without train rows (a split by timestamp may leave some)."""
    has_train = np.zeros(int(users.max()) + 1, dtype=bool)
    has_train[users[part == TRAIN]] = True
    part[~has_train[users]] = DROPPED
    for name, label in ((TRAIN, "train"), (VALID, "valid"), (TEST, "test")):
        if not np.any(part == name):
            raise UserError(
                f"The {label} list would be empty; change the split, or lower the bounds."
            )


def _random_noise(
    columns: list[np.ndarray], num_items: int, true_in_part: np.ndarray, settings: PrepareSettings
) -> list[np.ndarray]:
    """Return user, item, time, part and anchor of random interactions, none of them a real one.

    Each has user, list and time of a randomly drawn interaction, its anchor, and follows it.
    """
    users, items, times, part = columns
    existing = np.sort(users.astype(np.int64) * num_items + items)
    rng = generator(settings.seed, "random noise")
    anchors, new_items = [], []
    for name in (TRAIN, VALID):
        pool = np.flatnonzero(part == name)
        missing = round(settings.random_noise * int(true_in_part[name]))
        for _ in range(100):  # a user who knows nearly every item leaves no room
            if not missing:
                break
            anchor = rng.choice(pool, missing)
            item = rng.integers(0, num_items, missing)
            keys, first = np.unique(
                users[anchor].astype(np.int64) * num_items + item, return_index=True
            )
            index = np.minimum(np.searchsorted(existing, keys), len(existing) - 1)
            is_new = existing[index] != keys
            anchors.append(anchor[first[is_new]])
            new_items.append(item[first[is_new]])
            existing = np.sort(np.concatenate((existing, keys[is_new])))
            missing -= int(np.count_nonzero(is_new))
    anchor, item = np.concatenate(anchors), np.concatenate(new_items).astype(np.int32)
    return [users[anchor], item, times[anchor], part[anchor], anchor]


def _merge(columns: list[np.ndarray], noise: list[np.ndarray]) -> list[np.ndarray]:
    *added, anchor = noise
    # Stable: an anchor stands before the noise that was put behind it.
    order = np.argsort(np.concatenate((np.arange(len(columns[0])), anchor)), kind="stable")
    return [np.concatenate((old, new))[order] for old, new in zip(columns, added, strict=True)]


def number_rows(columns: list[np.ndarray], events: Events, counts: dict[str, int]) -> Lists:
    """Return the lists of user, item, time and part columns, numbered without gaps."""
    users, items, times, part = columns
    kept_users, kept_items = np.unique(users), np.unique(items)
    counts |= {"users": len(kept_users), "items": len(kept_items)}
    counts |= {
        name: int(np.count_nonzero(part == n)) for n, name in enumerate(("train", "valid", "test"))
    }
    return Lists(
        users=np.searchsorted(kept_users, users).astype(np.int32),
        items=np.searchsorted(kept_items, items).astype(np.int32),
        times=times,
        part=part,
        user_ids=events.user_ids[kept_users],
        item_ids=events.item_ids[kept_items],
        counts=counts,
    )
