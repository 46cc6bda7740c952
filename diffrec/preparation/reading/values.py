"""Kinds of values in the first cells of a column: numbers, ratings, times, dates, times of day."""

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_NAMED_MONTH = re.compile(
    r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b.*\d|^\d{1,2} \d{1,2}, \d{4}$",
    re.IGNORECASE,
)
_COMPACT = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_LEAST_TIMESTAMP = 1e8
_LARGEST_RATING = 100
_MOST_RATINGS = 101


def is_number_column(cells: Sequence[str]) -> bool:
    """Return whether all cells that are filled are numbers."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_NUMBER.fullmatch(cell) for cell in filled)


def is_clock_column(cells: Sequence[str]) -> bool:
    """Return whether all cells are times of day."""
    return _all(_CLOCK, cells)


def is_date_column(cells: Sequence[str]) -> bool:
    """Return whether all cells are dates without a time of day."""
    return _all(_DATE, cells) or is_compact_date(cells)


def is_compact_date(cells: Sequence[str]) -> bool:
    """Return whether all cells are dates like 20140522."""
    return _all(_COMPACT, cells)


def is_dated(cells: Sequence[str]) -> bool:
    """Return whether all cells begin as dates, a time of day may follow."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_DATE.match(cell) or _NAMED_MONTH.search(cell) for cell in filled)


def looks_like_time(cells: Sequence[str]) -> bool:
    """Return whether all cells are dates or seconds (or finer) since 1970."""
    if is_number_column(cells):
        numbers = [abs(float(cell)) for cell in cells if cell]
        return min(numbers) >= _LEAST_TIMESTAMP or is_compact_date(cells)
    return is_dated(cells)


def looks_like_rating(cells: Sequence[str]) -> bool:
    """Return whether all cells are numbers on a small scale."""
    if not is_number_column(cells):
        return False
    filled = {cell for cell in cells if cell}
    return len(filled) <= _MOST_RATINGS and all(
        abs(float(cell)) <= _LARGEST_RATING and round(float(cell), 2) == float(cell)
        for cell in filled
    )


def counts_rows(pairs: Sequence[tuple[str, str]]) -> bool:
    """Return whether the second of each pair counts the rows of the first, 0, 1, 2 ...

    Positions in a user's history look like that: small numbers that are not ratings.
    """
    last: dict[str, float] = {}
    steps = 0
    for user, cell in pairs:
        if not _NUMBER.fullmatch(cell):
            return False
        if user in last:
            if float(cell) != last[user] + 1:
                return False
            steps += 1
        last[user] = float(cell)
    return steps >= 3


def _all(pattern: re.Pattern[str], cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(pattern.fullmatch(cell) for cell in filled)
