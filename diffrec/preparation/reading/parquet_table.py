"""Parquet files as a table: ids of any type that is exact as text, times of any type."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from diffrec.errors import UserError
from diffrec.preparation.reading.columns import choose_by_name
from diffrec.preparation.reading.options import ReadOptions, Role
from diffrec.preparation.reading.table import Table, text_times
from diffrec.preparation.reading.times import DATE_UNIT, TimeReader

_SAMPLED = 1000
_EXACT = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}
"""Largest whole number up to which a type holds every one."""


def parquet_table(
    source: Path,
    files: Sequence[Path],
    options: ReadOptions,
    keys: Sequence[Mapping[str, str | None]],
) -> Table:
    """Return the table of one or more Parquet files with the same columns.

    Args:
        source: the source, for messages.
        files: with the same columns.
        options: of reading.
        keys: columns that the folders of each file hold (`folders.partition_keys`).

    Raises:
        UserError: a file is damaged, or a column cannot be an id, a rating or a time.
    """
    frame, repeated = _scan(source, files, keys)
    schema = frame.collect_schema()
    names = schema.names()
    choice = choose_by_name(source, names, options.columns)
    names_by_role: dict[Role, str] = {role: names[index] for role, index in choice.indices.items()}
    table = Table(
        source,
        frame.select(pl.col(name).alias(role) for role, name in names_by_role.items()),
        names_by_role,
        lambda row: row + 1,
        frozenset(role for role, name in names_by_role.items() if schema[name] == pl.String),
        unused=tuple(name for name in names if name not in names_by_role.values()),
        notes=[*choice.notes, *repeated],
        format="Parquet",
    )
    for role in ("user", "item"):
        _require_exact(table, role, schema[names_by_role[role]])
        text = _id_text(source, names_by_role[role], role, schema[names_by_role[role]])
        table.cells = table.cells.with_columns(text)
    if "rating" in names_by_role:
        _require_rating(source, names_by_role["rating"], schema[names_by_role["rating"]])
    if "time" in names_by_role:
        table.time = _times(table, schema[names_by_role["time"]], options)
    return table


def _scan(
    source: Path, files: Sequence[Path], keys: Sequence[Mapping[str, str | None]]
) -> tuple[pl.LazyFrame, list[str]]:
    """Return the rows of all files with their folders' columns, and what is to be said of these."""
    schemas = [_schema(file) for file in files]
    for file, schema, own in zip(files, schemas, keys, strict=True):
        if dict(schema) != dict(schemas[0]):
            different = set(schema.items()) ^ set(schemas[0].items())
            names = ", ".join(sorted({repr(name) for name, _ in different}))
            raise UserError(
                f"The files of {source} must have the same columns of the same types, but {file} "
                f"and {files[0]} differ in {names}; write them alike."
            )
        if own.keys() != keys[0].keys():
            raise UserError(
                f"The folders of all files of {source} must hold the same columns, but those of "
                f"{file} hold {', '.join(own) or 'none'} and those of {files[0]} "
                f"{', '.join(keys[0]) or 'none'}; name one of the folders."
            )
    names = schemas[0].names()
    new = [name for name in keys[0] if name not in names]
    frames = [
        _lazy(file).select(*names, *(pl.lit(own[name], pl.String).alias(name) for name in new))
        for file, own in zip(files, keys, strict=True)
    ]
    notes = [
        f"column {name!r} is read from the files, though their folders name it as well"
        for name in keys[0]
        if name in names
    ]
    if new:
        notes.append(f"read from the names of folders: {', '.join(new)}")
    return pl.concat(frames), notes


def _lazy(file: Path) -> pl.LazyFrame:
    return pl.scan_parquet(file.absolute(), glob=False, hive_partitioning=False)  # no pattern


def _schema(file: Path) -> pl.Schema:
    """Return the columns of a file.

    Raises:
        UserError: it is damaged.
    """
    try:
        return _lazy(file).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{file} must be a Parquet file, but cannot be read as one ({reason}); fetch or write "
            "it again."
        ) from error


def _require_exact(table: Table, role: Role, dtype: pl.DataType) -> None:
    """Refuse ids as floats beyond the whole numbers that their type holds: some became others."""
    if not dtype.is_float() and not (isinstance(dtype, pl.Decimal) and dtype.scale):
        return
    limit = _EXACT.get(type(dtype), 2**53)
    number = pl.col(role).cast(pl.Float64)
    largest = table.cells.select(number.filter(number.is_finite()).abs().max()).collect().item()
    if largest is not None and largest > limit:
        raise UserError(
            f"The {role} ids of {table.source} must be exact, but its column "
            f"{table.names[role]!r} is {dtype}, which holds whole numbers up to {limit:,}, and has "
            f"{largest:.0f}: ids may have become others; write them as text or integers."
        )


def _id_text(source: Path, name: str, role: Role, dtype: pl.DataType) -> pl.Expr:
    """Return the id as text."""
    column = pl.col(role)
    if isinstance(dtype, pl.String):
        return column
    if dtype.is_integer() or isinstance(dtype, (pl.Categorical, pl.Enum)):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Decimal) and dtype.scale == 0:
        return column.cast(pl.Int128).cast(pl.String)
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        # Written as in a CSV of pandas: 12.0 is recognised where the ids are numbered.
        number = column.cast(pl.Float64)
        integer = number.cast(pl.Int64, strict=False)
        text = pl.when(number == integer).then(integer.cast(pl.String) + ".0")
        return pl.when(number.is_finite()).then(text.otherwise(number.cast(pl.String))).alias(role)
    raise UserError(
        f"The {role} ids of {source} must be text or whole numbers, but its column {name!r} is "
        f"{_dtype_name(dtype)}; write it as text, or name another column."
    )


def _require_rating(source: Path, name: str, dtype: pl.DataType) -> None:
    if not dtype.is_numeric() and not isinstance(dtype, (pl.Boolean, pl.String)):
        raise UserError(
            f"The ratings of {source} must be numbers, but its column {name!r} is "
            f"{_dtype_name(dtype)}; name another as --rating-column, or none."
        )


def _times(
    table: Table, dtype: pl.DataType, options: ReadOptions
) -> tuple[TimeReader, TimeReader | None]:
    column = f"column {table.names['time']!r} of {table.source}"
    if isinstance(dtype, pl.String):
        sample = table.cells.select(pl.col("time").drop_nulls().head(_SAMPLED)).collect()
        return text_times(table, options, [cell.strip() for cell in sample["time"].to_list()])
    if options.time_format is not None:
        raise UserError(
            f"A --time-format is for times written as text, but the {column} is "
            f"{_dtype_name(dtype)}; leave it out."
        )
    time = pl.col("time")
    if isinstance(dtype, pl.Date):
        table.cells = table.cells.with_columns(time.cast(pl.Datetime("us")).to_physical())
        return TimeReader("dates", unit=DATE_UNIT), None
    if isinstance(dtype, (pl.Datetime, pl.Duration)):
        table.cells = table.cells.with_columns(time.to_physical())
        scale = {"ms": "milli", "us": "micro", "ns": "nano"}[dtype.time_unit]
        if isinstance(dtype, pl.Duration):
            return TimeReader("elapsed time", unit=f"{scale}seconds"), None
        return TimeReader("dates", unit=DATE_UNIT.replace("micro", scale)), None
    if dtype.is_integer():
        return TimeReader("numbers"), None
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        return TimeReader("numbers", is_fraction=True), None
    reason = "times of day without a date" if isinstance(dtype, pl.Time) else _dtype_name(dtype)
    raise UserError(
        f"The {column} must hold points in time, but is {reason}; name another as --time-column, "
        "or none."
    )


def _dtype_name(dtype: pl.DataType) -> str:
    names = {pl.Binary: "binary", pl.List: "a list", pl.Array: "a list", pl.Struct: "a struct"}
    words = next((name for base, name in names.items() if isinstance(dtype, base)), None)
    return words or f"of type {dtype}"
