"""Refuses tables that would be read without an error, but not as they are meant."""

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from diffrec.errors import UserError
from diffrec.preparation.reading.dialect import BLANKS, SEPARATORS, Dialect, cut
from diffrec.preparation.reading.options import ReadOptions
from diffrec.preparation.reading.plain_text import PlainFile, read_sample
from diffrec.preparation.reading.table import Table
from diffrec.preparation.reading.values import is_number_column, looks_like_time

_SAMPLED = 200
_MOST = 0.8
_THOUSANDS = r"^\s*[+-]?[1-9][0-9]{0,2},[0-9]{3}\s*$"


def refuse_unlike(path: Path, tables: Sequence[Table]) -> None:
    """Refuse files of one source that would not be read alike.

    Raises:
        UserError: only some have a header, a line per user, or a rating or time.
    """
    positional = [table for table in tables if table.by_position]
    others = [table for table in tables if not table.by_position]
    if positional and others:
        sequences = [table for table in others if _is_sequence(table)]
        # A line of a user and one item is a pair as well.
        if len(sequences) < len(others) or not all(map(_is_pairs, positional)):
            other = (sequences or others)[0]
            form, remedy = (
                ("a line per user", "give --format sequences, or table")
                if sequences
                else ("one", "write it into each")
            )
            raise UserError(
                f"The files of {path} must be written alike, but {positional[0].source} has no "
                f"header and {other.source} has {form}; {remedy}."
            )
    if len({tuple(sorted(table.names)) for table in tables}) > 1:
        raise UserError(
            f"The files of {path} must have the same columns, but some have a rating or time and "
            "others have none; give --rating-column none or --time-column none."
        )


def refuse_two_separators(file: PlainFile, dialect: Dialect, options: ReadOptions) -> None:
    """Refuse a table without a header that two separators cut evenly: ids may hold either.

    A comma in a number or a time belongs to it. Blanks stand in names, so they do not count; and a
    line with quotes says itself what belongs together.

    Raises:
        UserError: that is so, and no separator was given.
    """
    if dialect.header is not None or options.separator is not None or dialect.separator == BLANKS:
        return
    lines = [line for line in read_sample(file.path)[0][dialect.lines_before_rows :] if line]
    if any('"' in line for line in lines):
        return
    rows = cut(lines, dialect.separator, quotes=False)
    for other in SEPARATORS:
        is_even = len({line.count(other) for line in lines}) == 1 and other in lines[0]
        if other in (dialect.separator, BLANKS) or not is_even:
            continue
        if any(other in cell and not _is_value(cell) for row in rows for cell in row):
            shown = ["tab" if s == "\t" else s for s in (dialect.separator, other)]
            raise UserError(
                f"{file.source} has no header, and both {shown[0]} and {shown[1]} cut its lines "
                f"evenly; give --separator '{shown[0]}' or --separator '{shown[1]}'."
            )


def _is_value(cell: str) -> bool:
    return is_number_column([cell.replace(",", ".")]) or looks_like_time([cell])


def _is_sequence(table: Table) -> bool:
    return "lines of users" in table.lines


def _is_pairs(table: Table) -> bool:
    return set(table.names) == {"user", "item"} and not table.unused


def refuse_lists_in_cells(table: Table, frame: pl.DataFrame) -> None:
    """Refuse a row per user whose item cell holds several items.

    Held-out files may have one row per user, with titles as items, so only others are looked at.

    Raises:
        UserError: that is so.
    """
    if _is_sequence(table) or table.part in ("valid", "test") or len(frame) < 2:
        return
    if frame["user"].n_unique() < len(frame):
        return
    cells = frame["item"].head(_SAMPLED).drop_nulls().cast(pl.String).to_list()
    lists = [cell for cell in cells if len(re.split(r"[\s,;|]+", cell.strip())) > 2]
    if len(lists) > _MOST * len(cells):
        raise UserError(
            f"{table.source} must have a row for each item of a user, but every user has one row, "
            f"and its item column holds several in a cell ({lists[0][:40]!r}); write a row for "
            "each, or a line of the user and the items with one separator (--format sequences)."
        )


def refuse_thousands(table: Table) -> None:
    """Refuse ratings like 1,037, which may be a thousand or have a decimal comma.

    Raises:
        UserError: every rating with a comma is written so.
    """
    if not table.decimal_comma or "rating" not in table.text:
        return
    has_comma = pl.col("rating").str.contains(",", literal=True)
    cells = table.cells.filter(has_comma).select("rating").collect(engine="streaming").to_series()
    if len(cells) and cells.str.contains(_THOUSANDS).all():
        raise UserError(
            f"The ratings of {table.source} with a comma ({cells[0]}) can be read in two ways, "
            "with thousands or with decimals behind it; write them with a point or without "
            "commas, or give --rating-column none."
        )
