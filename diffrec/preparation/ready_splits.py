"""Lists of a source that is split already: unchanged except for rows that no model could use."""

from dataclasses import replace

import numpy as np

from diffrec.errors import UserError
from diffrec.preparation.events import Events
from diffrec.preparation.settings import PrepareSettings
from diffrec.preparation.splitting import DROPPED, TEST, TRAIN, VALID, Lists, number_rows


def ready_lists(events: Events, is_interaction: np.ndarray, settings: PrepareSettings) -> Lists:
    """Return the lists of `events.parts`; without a valid list, the end of train becomes one.

    Raises:
        UserError: a setting would split or filter again, or a list is empty.
    """
    _refuse_settings(settings)
    if events.parts is None:
        raise ValueError("`events` must be split already.")
    part = np.where(is_interaction, events.parts, DROPPED).astype(np.int8)
    counts = {
        "rows read": events.rows_read,
        "rows of pairs in an earlier list dropped": events.repeated,
        "interactions": int(np.count_nonzero(is_interaction)),
    }
    if not np.any(part == VALID):
        counts["train rows moved to valid"] = _cut_valid(events.users, part, settings)
    has_train = np.zeros(len(events.user_ids), dtype=bool)
    has_train[events.users[part == TRAIN]] = True
    without_train = (part != DROPPED) & ~has_train[events.users]
    counts["held-out rows of users without train rows dropped"] = int(
        np.count_nonzero(without_train)
    )
    part[without_train] = DROPPED
    for name, label in ((TRAIN, "train"), (VALID, "valid"), (TEST, "test")):
        if not np.any(part == name):
            raise UserError(f"The {label} list would be empty; look at the source's {label} file.")
    rows = np.flatnonzero(part != DROPPED)
    columns = [events.users[rows], events.items[rows], events.times[rows], part[rows]]
    return number_rows(columns, events, counts)


def _refuse_settings(settings: PrepareSettings) -> None:
    defaults = replace(PrepareSettings(), threshold=settings.threshold, ratio=settings.ratio)
    for name in PrepareSettings.__dataclass_fields__:
        if getattr(settings, name) != getattr(defaults, name):
            raise UserError(
                f"The source is split into train and test already, so `{name}` has no effect; "
                "leave it out, or give one file of all rows."
            )


def _cut_valid(users: np.ndarray, part: np.ndarray, settings: PrepareSettings) -> int:
    """Turn the end of each user's train rows into valid, in place, in the ratio's proportion."""
    train = np.flatnonzero(part == TRAIN)
    owners = users[train]
    lengths = np.bincount(owners)
    share = settings.ratio[1] / (settings.ratio[0] + settings.ratio[1])
    num_valid = np.minimum(np.floor(lengths * share + 0.5).astype(np.int64), lengths - 1)
    remaining = np.cumsum(lengths)[owners] - np.arange(len(owners))
    moved = train[remaining <= num_valid[owners]]
    part[moved] = VALID
    return len(moved)
