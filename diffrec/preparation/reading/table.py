"""Lazy table of one part of a source: four columns, and counts of its lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from diffrec.preparation.reading.options import ReadOptions, Role
from diffrec.preparation.reading.times import TimeReader, choose_reader

_TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


@dataclass(slots=True)
class Table:
    """Columns user, item and perhaps rating and time, still as the source writes them."""

    source: Path
    cells: pl.LazyFrame
    """As text, or as Parquet's own types."""

    names: dict[Role, str]
    """Name of each column in the source."""

    line_of: Callable[[int], int]
    """Function from a row, counted from 0, to its line in the source (Parquet: row from 1)."""

    text: frozenset[Role]
    """Columns that are text; the others have a Parquet type of their own."""

    lines: dict[str, int] = field(default_factory=dict)
    """Lines that are no rows, and `lines`, their total; empty for Parquet."""

    rows: int | None = None
    """Rows that the lines make, blank ones included; None if unknown before reading."""

    blank_rows: int = 0
    """Rows that are known to be blank, or were blanked for their number of fields."""

    unused: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    format: str = ""
    decimal_comma: bool = False
    time: tuple[TimeReader, TimeReader | None] | None = None
    by_position: bool = False
    """True if the source has no header, so that columns were taken by their positions."""

    part: str | None = None
    """train, valid or test if the source is split already."""

    def numbers(self, *, wide: bool) -> list[pl.Expr]:
        """Return the expressions of rating and time; `wide` accepts more formats, and is slower."""
        expressions = []
        if "rating" in self.names:
            expressions.append(self._rating(wide=wide))
        if self.time is not None:
            narrow, wider = self.time
            text = pl.col("time")
            if wide and "time" in self.text:
                text = text.str.strip_chars()
            expressions.append((wider or narrow if wide else narrow).read(text).alias("time"))
        return expressions

    def _rating(self, *, wide: bool) -> pl.Expr:
        cell = pl.col("rating")
        plain = cell.cast(pl.Float32, strict=False)
        if wide and "rating" in self.text:
            text = cell.str.strip_chars()
            plain = text.cast(pl.Float32, strict=False)
            if self.decimal_comma:
                point = text.str.replace(",", ".", literal=True)
                plain = plain.fill_null(point.cast(pl.Float32, strict=False))
            truth = text.str.to_lowercase().replace_strict(
                list(_TRUTH), list(_TRUTH.values()), default=None, return_dtype=pl.Float32
            )
            plain = plain.fill_null(truth)
        return pl.when(plain.is_finite()).then(plain).alias("rating")


def text_times(
    table: Table, options: ReadOptions, cells: Sequence[str]
) -> tuple[TimeReader, TimeReader | None]:
    """Return readers of the table's times, a fast and a wider one; `cells`: the first times."""
    column = f"The column {table.names['time']!r} of {table.source}"

    def extremes() -> tuple[int, int]:
        groups = pl.col("time").str.extract_groups(r"^\s*(\d{1,2})[./-](\d{1,2})[./-]")
        first, second = (groups.struct.field(n).cast(pl.Int32, strict=False).max() for n in "12")
        maxima = table.cells.select(first.alias("1"), second.alias("2"))
        low, high = maxima.collect(engine="streaming").row(0)
        return int(low or 0), int(high or 0)

    return choose_reader(cells, column, options.time_format, extremes)
