"""Reads a file or folder of ratings or events and accounts for every row.

Read with polars' streaming engine in one pass: ids become numbers while they stream, and what stays
in memory is 20 bytes per row (user, item, rating, time), so 25 million rows take 0.5 GB where a
data frame of their text takes several.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from diffrec.errors import UserError
from diffrec.preparation.reading.columns import plain_name
from diffrec.preparation.reading.dialect import find_dialect
from diffrec.preparation.reading.doubts import (
    refuse_lists_in_cells,
    refuse_thousands,
    refuse_two_separators,
    refuse_unlike,
)
from diffrec.preparation.reading.folders import find_files, partition_keys
from diffrec.preparation.reading.ids import NumberedIds, number_ids
from diffrec.preparation.reading.json_table import is_json, json_table
from diffrec.preparation.reading.options import ReadOptions
from diffrec.preparation.reading.parquet_table import parquet_table
from diffrec.preparation.reading.plain_text import make_plain
from diffrec.preparation.reading.sequences import sequence_table
from diffrec.preparation.reading.table import Table
from diffrec.preparation.reading.text_table import require_utf8_ids, text_table
from diffrec.preparation.reading.times import time_warnings, to_integer_times

PARTS = ("train", "valid", "test")
_NOT_OF_NAMES = r'(:(token|float)(_seq)?$)|[ \t_.\-"\u00a0\ufeff]'
"""Parts of a header that `plain_name` leaves out, and a byte order mark."""


@dataclass(slots=True)
class SourceReport:
    """Counts of a source's lines, rows and columns, for the terminal and the manifest."""

    format: str
    columns: dict[str, str]
    unused: list[str]
    lines: dict[str, int]
    """Lines by kind (header, blank, ...); they add up to `lines`. Empty for Parquet."""

    rows: dict[str, int]
    """Rows read, and rows dropped by rule."""

    notes: list[str]
    time_unit: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Rows in the source's order."""

    users: np.ndarray
    """int32 (n,): numbers into `user_ids`."""

    items: np.ndarray
    """int32 (n,): numbers into `item_ids`."""

    ratings: np.ndarray | None
    """float32 (n,); None if the source has none."""

    times: np.ndarray | None
    """int64 (n,), in the unit `report.time_unit`; None if the source has none."""

    parts: np.ndarray | None
    """int8 (n,): 0 train, 1 valid, 2 test; None if the source is not split."""

    user_ids: np.ndarray
    item_ids: np.ndarray
    report: SourceReport


@dataclass(slots=True)
class _Rows:
    """Rows of one table, ids as codes."""

    table: Table
    frame: pl.DataFrame
    unit: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)


def read_source(path: Path, options: ReadOptions | None = None) -> Source:
    """Read a file or folder of ratings or events.

    Raises:
        UserError: reading would lose or guess something; the message names it,
            and the option that decides.
    """
    options = options or ReadOptions()
    files = find_files(path)
    kinds = {role: pl.Categorical(pl.Categories.random()) for role in ("user", "item")}
    with tempfile.TemporaryDirectory(prefix="diffrec-") as folder:
        tables = []
        for number, (part, group) in enumerate(files.groups):
            copies = Path(folder, str(number))
            copies.mkdir()
            table = open_table(group, copies, options, path)
            table.part = part
            tables.append(table)
        refuse_unlike(path, tables)
        tables[0].notes += files.notes
        row_groups = [_read_rows(table, kinds, options) for table in tables]
        return _concatenate(path, row_groups, options)


def open_table(
    files: Sequence[Path], folder: Path, options: ReadOptions, root: Path | None = None
) -> Table:
    """Return the table of one file, or of Parquet files that belong together.

    Args:
        files: the file, or the Parquet files.
        folder: for temporary files.
        options: of reading.
        root: folder of the source, if it is one.

    Raises:
        UserError: a file cannot be read, or folders hold columns of files that are no Parquet.
    """
    folder_of_all = root if root is not None and root.is_dir() else None
    keys = [{} if folder_of_all is None else partition_keys(folder_of_all, f) for f in files]
    source = files[0] if len(files) == 1 else folder_of_all or files[0].parent
    plain = make_plain(files[0], folder, options.encoding)
    if plain.content.kind == "parquet":
        paths = [plain.path, *files[1:]]
        table = parquet_table(source, paths, options, keys)
        table.notes += plain.notes
        return table
    if keys[0]:
        raise UserError(
            f"The folders of {files[0]} hold columns ({', '.join(keys[0])}), which are read beside "
            "Parquet files only; write the table as Parquet, or with these columns in the files."
        )
    if options.format == "auto" and is_json(plain.path):
        return json_table(plain, folder, options)
    dialect = find_dialect(plain, options)
    if dialect.kind == "sequences":
        return sequence_table(plain, dialect.separator, folder, dialect.lines_before_rows)
    refuse_two_separators(plain, dialect, options)
    return text_table(plain, dialect, folder, options)


def _read_rows(table: Table, kinds: Mapping[str, pl.DataType], options: ReadOptions) -> _Rows:
    frame = _collect(table, kinds, wide=False)
    values = [role for role in ("rating", "time") if role in frame.columns]
    if any(frame[role].null_count() for role in values):
        frame = _collect(table, kinds, wide=True)
        refuse_thousands(table)
    rows = _Rows(table, frame)
    if table.rows is not None and len(frame) != table.rows:
        raise UserError(
            f"{table.source} has {table.rows} rows by its lines, but {len(frame)} were read; give "
            "--no-quotes, or write it with another separator."
        )
    _drop_rows(rows, values, options)
    refuse_lists_in_cells(table, rows.frame)
    if table.time is not None:
        reader = table.time[0]
        times, rows.unit = to_integer_times(rows.frame["time"].to_numpy(), reader, table.source)
        rows.frame = rows.frame.with_columns(pl.Series("time", times))
        table.notes += reader.notes
    return rows


def _collect(table: Table, kinds: Mapping[str, pl.DataType], *, wide: bool) -> pl.DataFrame:
    ids = [pl.col(role).cast(kind) for role, kind in kinds.items()]
    try:
        return table.cells.select(*ids, *table.numbers(wide=wide)).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{table.source} cannot be read as a table ({reason}); correct it."
        ) from error


def _drop_rows(rows: _Rows, values: Sequence[str], options: ReadOptions) -> None:
    """Drop empty rows and repeated headers; refuse rows with cells that cannot be read."""
    frame, table = rows.frame, rows.table
    roles = ["user", "item", *values]
    has_blank_ids = any(len(_blank_names(frame[role])) for role in ("user", "item"))
    if not has_blank_ids and not any(frame[role].null_count() for role in roles):
        keep = ~_header_mask(frame, table, values)
    else:
        is_blank = _blank_mask(table, roles)
        rows.dropped["empty rows"] = int(np.count_nonzero(is_blank)) - table.blank_rows
        keep = ~is_blank & ~_header_mask(frame, table, values)
        is_bad = _bad_row_mask(frame, table, roles, keep, options)
        rows.dropped["rows with empty or unreadable cells"] = int(np.count_nonzero(is_bad))
        keep &= ~is_bad
    rows.dropped["repeated header lines"] = (
        len(keep)
        - int(np.count_nonzero(keep))
        - sum(rows.dropped.values())
        - (table.blank_rows if "empty rows" in rows.dropped else 0)
    )
    if not keep.all():
        rows.frame = frame.filter(keep)


def _blank_mask(table: Table, roles: Sequence[str]) -> np.ndarray:
    """Return a mask of the rows that are empty in every column, bool (rows,)."""
    blank = [
        pl.col(role).is_null() | (pl.col(role).str.strip_chars() == "")
        if role in ("user", "item") or role in table.text
        else pl.col(role).is_null()
        for role in roles
    ]
    is_blank = table.cells.select(pl.all_horizontal(blank)).collect(engine="streaming")
    return is_blank.to_series().to_numpy()


def _header_mask(frame: pl.DataFrame, table: Table, values: Sequence[str]) -> np.ndarray:
    """Return a mask of rows that repeat the header, as in concatenated files, bool (rows,)."""
    nothing = np.zeros(len(frame), dtype=bool)
    if not table.lines or table.by_position:
        return nothing
    same = [pl.col(role).is_null() for role in values]  # a name is no number
    for role in ("user", "item"):
        cells = frame[role].unique().drop_nulls().cast(pl.String)
        plain = cells.str.to_lowercase().str.replace_all(_NOT_OF_NAMES, "")
        headers = cells.filter(plain == plain_name(table.names[role]))
        if not len(headers):
            return nothing
        same.append(pl.any_horizontal(pl.col(role) == header for header in headers))
    return frame.select(pl.all_horizontal(same).fill_null(value=False)).to_series().to_numpy()


def _bad_row_mask(
    frame: pl.DataFrame, table: Table, roles: Sequence[str], keep: np.ndarray, options: ReadOptions
) -> np.ndarray:
    """Return a mask of the rows to keep that have an empty or unreadable cell, bool (rows,)."""
    is_bad = np.zeros(len(frame), dtype=bool)
    for role in roles:
        unread = frame[role].is_null()
        if role in ("user", "item") and len(_blank_names(frame[role])):
            unread |= (frame[role].cast(pl.String).str.strip_chars() == "").fill_null(value=True)
        indices = np.flatnonzero(unread.to_numpy() & keep)
        if len(indices) and not options.drop_bad_rows:
            _refuse_cells(table, role, indices)
        is_bad[indices] = True
    return is_bad


def _blank_names(column: pl.Series) -> pl.Series:
    names = column.unique().drop_nulls().cast(pl.String)
    return names.filter(names.str.strip_chars() == "")


def _refuse_cells(table: Table, role: str, indices: np.ndarray) -> None:
    examples = []
    for index in indices[:3].tolist():
        cell = table.cells.select(pl.col(role)).slice(index, 1).collect().item()
        content = "empty" if cell is None or str(cell).strip() == "" else repr(str(cell))
        examples.append(f"line {table.line_of(index)}: {content}")
    name = {str(key): name for key, name in table.names.items()}[role]
    remedy = "complete or remove those rows, or give --drop-bad-rows"
    if role == "time":
        remedy += ", or --time-format, or --time-column none"
    if role == "rating":
        remedy += ", or --rating-column none"
    raise UserError(
        f"{table.source} must have a value in every cell, but {len(indices)} cells of its {role} "
        f"column ({name}) are empty or cannot be read ({', '.join(examples)}); {remedy}."
    )


def _concatenate(path: Path, row_groups: Sequence[_Rows], options: ReadOptions) -> Source:
    units = {rows.unit for rows in row_groups}
    if len(units) > 1:
        raise UserError(
            f"The files of {path} must have times of one unit, but have "
            f"{' and '.join(sorted(str(unit) for unit in units))}; write them alike."
        )
    frame = (
        pl.concat([rows.frame for rows in row_groups])
        if len(row_groups) > 1
        else row_groups[0].frame
    )
    report = _report(path, row_groups)
    if not len(frame):
        raise UserError(f"{path} must hold rows of ratings or events, but it holds none.")
    ids: dict[str, NumberedIds] = {}
    for role in ("user", "item"):
        ids[role] = number_ids(frame[role], role, str(path))
        report.notes += ids[role].notes
        if ids[role].ids.dtype.kind == "U":
            for rows in row_groups:
                require_utf8_ids(rows.table, ids[role].ids.tolist(), role)
    times = frame["time"].to_numpy() if "time" in frame.columns else None
    if times is not None:
        (report.time_unit,) = units
        report.notes += time_warnings(times, report.time_unit or "")
    parts = None
    if row_groups[0].table.part is not None:
        parts = np.concatenate(
            [np.full(len(r.frame), PARTS.index(r.table.part or ""), np.int8) for r in row_groups]
        )
    return Source(
        users=ids["user"].numbers,
        items=ids["item"].numbers,
        ratings=frame["rating"].to_numpy() if "rating" in frame.columns else None,
        times=times,
        parts=parts,
        user_ids=ids["user"].ids,
        item_ids=ids["item"].ids,
        report=report,
    )


def _report(path: Path, row_groups: Sequence[_Rows]) -> SourceReport:
    lines: dict[str, int] = {}
    counts = {"rows read": sum(len(rows.frame) for rows in row_groups)}
    for rows in row_groups:
        for name, count in rows.table.lines.items():
            lines[name] = lines.get(name, 0) + count
        for name, count in rows.dropped.items():
            counts[name] = counts.get(name, 0) + count
    first = row_groups[0].table
    columns: dict[str, str] = {role: name.strip() for role, name in first.names.items()}
    if first.time is not None:
        columns["time"] += f" ({first.time[0].label})"
    notes = list(dict.fromkeys(note for rows in row_groups for note in rows.table.notes))
    return SourceReport(
        format=first.format if len(row_groups) == 1 else f"{len(row_groups)} files: {first.format}",
        columns=columns,
        unused=[name.strip() for name in first.unused],
        lines=lines,
        rows=counts,
        notes=notes,
    )
