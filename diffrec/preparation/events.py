"""A source's rows as interactions in order: by user, in order of time, each pair once."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from diffrec.preparation.reading.options import ReadOptions
from diffrec.preparation.reading.source import Source, SourceReport, read_source


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Rows by user, in order of time within each; equal times keep the source's order."""

    users: np.ndarray
    """int32 (n,): numbers into `user_ids`, ascending."""

    items: np.ndarray
    """int32 (n,)"""

    ratings: np.ndarray | None
    """float32 (n,); None if the source has none: then every event is an interaction."""

    times: np.ndarray
    """int64 (n,), in the unit `report.time_unit`; zeros if the source has none."""

    user_ids: np.ndarray
    item_ids: np.ndarray
    has_times: bool
    rows_read: int
    repeated: int
    """Rows dropped because a later one has the same user and item."""

    report: SourceReport
    parts: np.ndarray | None = None
    """int8 (n,): 0 train, 1 valid, 2 test, where the source is split already; then rows go by part
    within a user, and of a repeated pair the earliest part's row counts."""


def read_events(path: Path, options: ReadOptions | None = None) -> Events:
    """Read a file or folder of ratings or events.

    Args:
        path: any format that `preparation.reading` knows.
        options: settings for what cannot be recognised from the content.

    Raises:
        UserError: reading would lose or guess something.
    """
    return order_events(read_source(path, options))


def order_events(source: Source) -> Events:
    """Return the rows in order, repeated pairs dropped."""
    columns = {
        "user": source.users,
        "part": source.parts,
        "time": source.times,
        "item": source.items,
        "rating": source.ratings,
    }
    rows = pl.DataFrame({name: array for name, array in columns.items() if array is not None})
    order = [name for name in ("user", "part", "time") if name in rows.columns]
    rows = rows.sort(order, maintain_order=True)
    rows_read = len(rows)
    keep = _keep_mask(rows, len(source.item_ids), keep_last=source.parts is None)
    rows = rows if keep is None else rows.filter(keep)
    arrays = {name: rows[name].to_numpy() for name in rows.columns}
    return Events(
        users=arrays["user"],
        items=arrays["item"],
        ratings=arrays.get("rating"),
        times=arrays.get("time", np.zeros(0, np.int64))
        if source.times is not None
        else np.zeros(len(rows), np.int64),
        user_ids=source.user_ids,
        item_ids=source.item_ids,
        has_times=source.times is not None,
        rows_read=rows_read,
        repeated=rows_read - len(rows),
        report=source.report,
        parts=arrays.get("part"),
    )


def _keep_mask(rows: pl.DataFrame, num_items: int, *, keep_last: bool) -> np.ndarray | None:
    """Return which rows are the last (or first) of their user and item; None if none repeats."""
    keys = rows["user"].to_numpy().astype(np.int64) * num_items
    keys += rows["item"].to_numpy()
    ordered = np.sort(keys)
    if not np.any(ordered[1:] == ordered[:-1]):
        return None
    del ordered
    order = np.argsort(keys, kind="stable")
    differs = keys[order][1:] != keys[order][:-1]
    is_kept = np.append(differs, True) if keep_last else np.insert(differs, 0, True)
    keep = np.zeros(len(keys), dtype=bool)
    keep[order[is_kept]] = True
    return keep
