"""Raw ratings or events, of any common format, as compact columns of numbers.

Read with polars' streaming engine: text and original ids pass through in blocks, and what stays in
memory is 20 bytes per row (user number, item number, rating, time), so 25 million rows take 0.5 GB
where a data frame of their text takes several. pyarrow streams as well, but it has neither joins
on streams nor a way to read `::`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from diffrec.errors import UserError
from diffrec.preparation.formats import Columns, Layout, find_layout


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Rows by user, in order of time within each; equal times keep the source's order."""

    users: np.ndarray
    """int32 (n,): numbers into `user_ids`, ascending."""

    items: np.ndarray
    """int32 (n,)"""

    ratings: np.ndarray | None
    """float32 (n,); None where the source has none: every event is an interaction."""

    times: np.ndarray
    """int64 (n,), in the source's unit (microseconds for dates); zeros where it has none."""

    user_ids: np.ndarray
    item_ids: np.ndarray
    has_times: bool
    rows_read: int
    repeated: int
    """Rows dropped because a later one has the same user and item."""


def read_events(path: Path, columns: Columns | None = None) -> Events:
    """Read a file of ratings or events.

    Args:
        path: CSV, TSV, Parquet, or text with `::`, as MovieLens has it.
        columns: names in the file's header, where they are not recognised by themselves.

    Raises:
        UserError: a column is not found, or cells are empty or no numbers.
    """
    layout = find_layout(path, columns or Columns())
    try:
        return _collect(path, layout)
    except pl.exceptions.PolarsError:
        # Ids that begin as numbers may go on as text: read them as such from the start.
        try:
            return _collect(path, layout.with_text_ids())
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path} cannot be read as a table ({reason}); mend it.") from error


def _collect(path: Path, layout: Layout) -> Events:
    table = layout.scan(path)
    ids = {kind: _distinct(table, kind) for kind in ("user", "item")}
    _refuse_empty(path, table, layout)
    for kind, frame in ids.items():
        codes = frame.with_row_index(f"{kind}_number").lazy()
        table = table.join(codes, on=kind, how="left", maintain_order="left")
    numbers = [pl.col("user_number").cast(pl.Int32), pl.col("item_number").cast(pl.Int32)]
    rows = table.select(*numbers, *layout.value_columns()).collect(engine="streaming")
    rows_read = len(rows)
    order = ["user_number", "time"] if layout.has_time else ["user_number"]
    rows = rows.sort(order, maintain_order=True)
    kept = _latest(rows, len(ids["item"]))
    rows = rows if kept is None else rows.filter(kept)
    return Events(
        users=rows["user_number"].to_numpy(),
        items=rows["item_number"].to_numpy(),
        ratings=rows["rating"].to_numpy() if layout.has_rating else None,
        times=rows["time"].to_numpy() if layout.has_time else np.zeros(len(rows), np.int64),
        user_ids=_id_array(ids["user"]["user"]),
        item_ids=_id_array(ids["item"]["item"]),
        has_times=layout.has_time,
        rows_read=rows_read,
        repeated=rows_read - len(rows),
    )


def _distinct(table: pl.LazyFrame, kind: str) -> pl.DataFrame:
    return table.select(pl.col(kind).drop_nulls().unique()).collect(engine="streaming").sort(kind)


def _refuse_empty(path: Path, table: pl.LazyFrame, layout: Layout) -> None:
    """Refuse a table without rows, or with empty cells or unreadable numbers in its columns."""
    cells = [pl.col("user"), pl.col("item"), *layout.value_columns()]
    counts = (
        table.select(pl.len().alias("rows"), *(cell.null_count() for cell in cells))
        .collect(engine="streaming")
        .row(0, named=True)
    )
    if counts.pop("rows") == 0:
        raise UserError(f"{path} must hold rows of ratings or events, but it holds none.")
    for column, empty in counts.items():
        if empty:
            raise UserError(
                f"{path} must have a value in every cell, but {empty} cells of its {column} "
                "column are empty or cannot be read; complete or remove those rows."
            )


def _latest(rows: pl.DataFrame, num_items: int) -> np.ndarray | None:
    """Return which rows are the latest of their user and item; None where none repeats."""
    keys = rows["user_number"].to_numpy().astype(np.int64) * num_items
    keys += rows["item_number"].to_numpy()
    ordered = np.sort(keys)
    if not np.any(ordered[1:] == ordered[:-1]):
        return None
    del ordered
    place = np.argsort(keys, kind="stable")
    is_last = np.append(keys[place][1:] != keys[place][:-1], True)
    kept = np.zeros(len(keys), dtype=bool)
    kept[place[is_last]] = True
    return kept


def _id_array(ids: pl.Series) -> np.ndarray:
    """Return ids as an array that `.npy` holds without pickle."""
    return ids.to_numpy() if ids.dtype.is_integer() else np.array(ids.to_list(), dtype=np.str_)
