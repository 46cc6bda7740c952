"""Parquet files as a table: ids of any type that has one plain writing, times of any type."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from diffrec.errors import UserError
from diffrec.preparation.reading.columns import choose_by_name
from diffrec.preparation.reading.options import ReadOptions, Role
from diffrec.preparation.reading.table import Table, text_times
from diffrec.preparation.reading.times import DATE_UNIT, TimeReader

_SAMPLED = 1000
_EXACT = 2**53
"""Largest whole number up to which float64 holds every one."""


def parquet_table(shown: Path, files: Sequence[Path], options: ReadOptions) -> Table:
    """Return the table of one or more Parquet files with the same columns.

    Raises:
        UserError: a file is damaged, or a column cannot be an id, a rating or a time.
    """
    paths = [file.absolute() for file in files]  # a path, no pattern
    try:
        frame = pl.scan_parquet(paths, glob=False, hive_partitioning=False)
        schema = frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{shown} must be a Parquet file, but cannot be read as one ({reason}); fetch or write "
            "it again."
        ) from error
    names = schema.names()
    choice = choose_by_name(shown, names, options.columns)
    chosen: dict[Role, str] = {role: names[place] for role, place in choice.places.items()}
    table = Table(
        shown,
        frame.select(pl.col(name).alias(role) for role, name in chosen.items()),
        chosen,
        lambda row: row + 1,
        frozenset(role for role, name in chosen.items() if schema[name] == pl.String),
        unused=tuple(name for name in names if name not in chosen.values()),
        notes=list(choice.notes),
        format="Parquet",
    )
    for role in ("user", "item"):
        text = _id_text(shown, chosen[role], role, schema[chosen[role]])
        table.cells = table.cells.with_columns(text)
    if "rating" in chosen:
        _require_rating(shown, chosen["rating"], schema[chosen["rating"]])
    if "time" in chosen:
        table.time = _times(table, schema[chosen["time"]], options)
    return table


def _id_text(shown: Path, name: str, role: Role, kind: pl.DataType) -> pl.Expr:
    """Return the id as text."""
    column = pl.col(role)
    if isinstance(kind, pl.String):
        return column
    if kind.is_integer() or isinstance(kind, (pl.Categorical, pl.Enum)):
        return column.cast(pl.String)
    if isinstance(kind, pl.Decimal) and kind.scale == 0:
        return column.cast(pl.Int128).cast(pl.String)
    if kind.is_float() or isinstance(kind, pl.Decimal):
        # Written as in a CSV of pandas: 12.0 is recognised where the ids are numbered.
        number = column.cast(pl.Float64)
        whole = number.cast(pl.Int64, strict=False)
        text = pl.when(number == whole).then(whole.cast(pl.String) + ".0")
        is_exact = number.is_between(-_EXACT, _EXACT)
        return pl.when(is_exact).then(text.otherwise(number.cast(pl.String))).alias(role)
    raise UserError(
        f"The {role} ids of {shown} must be text or whole numbers, but its column {name!r} is "
        f"{_kind_name(kind)}; write it as text, or name another column."
    )


def _require_rating(shown: Path, name: str, kind: pl.DataType) -> None:
    if not kind.is_numeric() and not isinstance(kind, (pl.Boolean, pl.String)):
        raise UserError(
            f"The ratings of {shown} must be numbers, but its column {name!r} is "
            f"{_kind_name(kind)}; name another as --rating-column, or none."
        )


def _times(
    table: Table, kind: pl.DataType, options: ReadOptions
) -> tuple[TimeReader, TimeReader | None]:
    where = f"column {table.names['time']!r} of {table.shown}"
    if isinstance(kind, pl.String):
        found = table.cells.select(pl.col("time").drop_nulls().head(_SAMPLED)).collect()
        return text_times(table, options, [cell.strip() for cell in found["time"].to_list()])
    if options.time_format is not None:
        raise UserError(
            f"A --time-format is for times written as text, but the {where} is "
            f"{_kind_name(kind)}; leave it out."
        )
    time = pl.col("time")
    if isinstance(kind, pl.Date):
        table.cells = table.cells.with_columns(time.cast(pl.Datetime("us")).to_physical())
        return TimeReader("dates", unit=DATE_UNIT), None
    if isinstance(kind, (pl.Datetime, pl.Duration)):
        table.cells = table.cells.with_columns(time.to_physical())
        scale = {"ms": "milli", "us": "micro", "ns": "nano"}[kind.time_unit]
        if isinstance(kind, pl.Duration):
            return TimeReader("elapsed time", unit=f"{scale}seconds"), None
        return TimeReader("dates", unit=DATE_UNIT.replace("micro", scale)), None
    if kind.is_integer():
        return TimeReader("numbers"), None
    if kind.is_float() or isinstance(kind, pl.Decimal):
        return TimeReader("numbers", is_fraction=True), None
    reason = "times of day without a date" if isinstance(kind, pl.Time) else _kind_name(kind)
    raise UserError(
        f"The {where} must hold points in time, but is {reason}; name another as --time-column, or "
        "none."
    )


def _kind_name(kind: pl.DataType) -> str:
    names = {pl.Binary: "binary", pl.List: "a list", pl.Array: "a list", pl.Struct: "a struct"}
    found = next((name for base, name in names.items() if isinstance(kind, base)), None)
    return found or f"of type {kind}"
