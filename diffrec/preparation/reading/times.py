"""Times in every common format, as int64 in the same order.

A date that can be read in two ways is refused until a format is given.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

from diffrec.errors import UserError
from diffrec.preparation.reading.values import (
    is_clock_column,
    is_compact_date,
    is_dated,
    is_number_column,
)

DATE_UNIT = "microseconds since 1970 (UTC)"
NUMBERS = "the source's numbers"
_HUNDRED_YEARS = 100 * 365.25 * 86400
_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (np.inf, 1e9))
"""(magnitude below which, ticks a second): seconds, milli-, micro-, nanoseconds since 1970."""

_DAY_MONTH = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_CLOCKS = ("%H:%M:%S%.f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_ZONES = ("", "%#z", " %#z", " UTC", " GMT")
_NAMED_DATES = ("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%Y")
_NAMED = (
    "%a %b %d %H:%M:%S %z %Y",  # Twitter
    "%a %b %d %H:%M:%S %Y",  # ctime
    "%a, %d %b %Y %H:%M:%S %z",  # RFC 2822
    "%a, %d %b %Y %H:%M:%S GMT",
    "%d/%b/%Y:%H:%M:%S %z",  # Apache
    *_NAMED_DATES,
    *(f"{date} {clock}" for date, clock in product(_NAMED_DATES, _CLOCKS)),
    "%m %d, %Y",  # Amazon's reviewTime
)

_ROUNDED = re.compile(r"\d(\.\d{1,5})?E\+\d+")
"""Numbers as Excel shows long ones."""

Extremes = Callable[[], tuple[int, int]]
"""Returns the largest first and second number of dates like 07/11/2016, over the whole column."""


@dataclass(frozen=True, slots=True)
class TimeReader:
    """Reader of one time column: formats of dates, or numbers."""

    label: str
    """For the manifest: `numbers`, or the formats of the dates."""

    formats: tuple[str, ...] = ()
    """strptime formats, tried in turn; none for numbers."""

    is_fraction: bool = False
    """Numbers with a fraction or an exponent, read as float64 first."""

    nanoseconds: bool = False
    unit: str | None = None
    """Unit of Parquet's own time types; None: recognised from the cells."""

    notes: tuple[str, ...] = ()

    def read(self, text: pl.Expr) -> pl.Expr:
        """Return the expression of the times: int64, or float64 if there are fractions."""
        if not self.formats:
            if self.is_fraction:
                number = text.cast(pl.Float64, strict=False)
                return pl.when(number.is_finite()).then(number)
            return text.cast(pl.Int64, strict=False)
        unit = "ns" if self.nanoseconds else "us"
        parsed = [
            text.str.to_datetime(
                format, time_unit=unit, time_zone="UTC" if "z" in format else None, strict=False
            ).to_physical()
            for format in self.formats
        ]
        return pl.coalesce(parsed) if len(parsed) > 1 else parsed[0]


def choose_reader(
    cells: Sequence[str], column: str, time_format: str | None, extremes: Extremes
) -> tuple[TimeReader, TimeReader | None]:
    """Return a reader for the first cells, and a wider one for cells that it cannot read.

    Args:
        cells: first cells of the column, without blanks at their ends.
        column: the source and its column, for messages.
        time_format: the user's format, or None.
        extremes: see `Extremes`; called only for dates like 07/11/2016.

    Raises:
        UserError: times of day without a date, or dates that can be read in two ways.
    """
    filled = [cell for cell in cells if cell]
    has_nanoseconds = any(re.search(r"\.\d{7,}", cell) for cell in filled)
    if time_format is not None:
        return TimeReader(time_format, (time_format,), nanoseconds=has_nanoseconds), None
    if is_clock_column(filled):
        raise UserError(
            f"{column} must hold points in time, but holds times of day without a date "
            f"({filled[0]}); name a column with dates as --time-column."
        )
    if is_compact_date(filled):
        return TimeReader("%Y%m%d", ("%Y%m%d",)), None
    if is_number_column(filled):
        if all(re.fullmatch(r"(19|20)\d{12}", cell) for cell in filled):
            return TimeReader("%Y%m%d%H%M%S", ("%Y%m%d%H%M%S",)), None
        integer_reader = TimeReader("numbers")
        rounded = next((cell for cell in filled if _ROUNDED.fullmatch(cell)), None)
        float_reader = TimeReader(
            "numbers",
            is_fraction=True,
            notes=()
            if rounded is None
            else (
                f"times like {rounded} are rounded, as Excel does with long numbers: different "
                "ones may have become one",
            ),
        )
        is_whole = all(re.fullmatch(r"[+-]?\d+", cell) for cell in filled)
        return (integer_reader, float_reader) if is_whole else (float_reader, None)
    if not is_dated(filled):
        return TimeReader("numbers"), TimeReader("numbers", is_fraction=True)
    formats = _candidate_formats(filled, column, extremes)
    used_formats = _matching_formats(filled, formats)
    zones = {("z" in format or format.endswith(("UTC", "GMT"))) for format in used_formats}
    notes = ("times without a zone are taken as UTC, like the others",) if len(zones) > 1 else ()
    narrow = TimeReader(
        ", ".join(used_formats), tuple(used_formats), nanoseconds=has_nanoseconds, notes=notes
    )
    return narrow, TimeReader(
        ", ".join(used_formats), tuple(formats), nanoseconds=has_nanoseconds, notes=notes
    )


def to_integer_times(times: np.ndarray, reader: TimeReader, source: Path) -> tuple[np.ndarray, str]:
    """Return times as int64 in the same order, and their unit in words.

    Raises:
        UserError: one is larger than int64 holds.
    """
    if times.dtype.kind == "i":
        unit = reader.unit or (DATE_UNIT if reader.formats else NUMBERS)
        if reader.nanoseconds:
            unit = unit.replace("micro", "nano")
        return times.astype(np.int64, copy=False), unit
    largest = float(np.abs(times).max()) if len(times) else 0.0
    if largest < 2**62 and np.array_equal(times, np.rint(times)):
        return times.astype(np.int64), NUMBERS
    if largest >= 2**63:
        raise UserError(
            f"{source} must have times below 2^63 (9.2e18), but one is {largest:g}; write them in "
            "a coarser unit, or give --time-column none."
        )
    # As many decimals as int64 holds beside the largest: no two different times become one.
    decimals = int(np.clip(np.floor(np.log10(9e18 / max(largest, 1e-300))), 0, 15))
    return np.rint(times * 10.0**decimals).astype(np.int64), f"1e-{decimals} of {NUMBERS}"


def parse_moment(moment: str, unit: str) -> int:
    """Return a moment in a unit that `to_integer_times` named.

    Args:
        moment: a number in the source's own unit, or a date if the source has dates.
        unit: of the times that it is compared with.

    Raises:
        UserError: it is neither.
    """
    ticks = {"micro": 10**6, "milli": 10**3, "nano": 10**9}.get(unit.partition("seconds")[0])
    try:
        number = float(moment)
    except ValueError:
        if ticks is None:
            raise UserError(
                f"A moment must be a number, as the source's times are, but got {moment!r}."
            ) from None
        try:
            return (
                int((np.datetime64(moment.strip().removesuffix("Z"), "s")).astype(np.int64)) * ticks
            )
        except ValueError:
            raise UserError(
                f"A moment must be a date like 2001-01-31 or 2001-01-31T12:00, but got {moment!r}."
            ) from None
    if unit.startswith("1e-"):
        return round(number * 10.0 ** int(unit[3:].split()[0]))
    return round(number)


def time_warnings(times: np.ndarray, unit: str) -> list[str]:
    """Return warnings on implausible times: mixed units, zeros, placeholders."""
    if not len(times):
        return []
    scale = 10.0 ** int(unit[3:].split()[0]) if unit.startswith("1e-") else 1.0
    low, high = float(times.min()) / scale, float(times.max()) / scale
    warnings = []
    if low == high and len(times) > 1:
        warnings.append("all times are equal: the source's order counts as the order of time")
    zeros = int(np.count_nonzero(times == 0))
    ticks = {"nano": 1e9, "milli": 1e3}.get(unit.partition("seconds")[0], 1e6)
    if unit.endswith(NUMBERS):
        median = float(np.median(times)) / scale
        if abs(median) < 1e8:  # places in a history, years
            return warnings
        ticks = next(ticks for limit, ticks in _UNITS if abs(median) < limit)
        negative = int(np.count_nonzero(times < 0))
        if negative and median > 0:
            warnings.append(f"{negative} times are before 1970 (down to {low:g}): missing ones?")
    jump = low > 0 and high / low > 300 and low > 1e6
    if (high - low) / ticks > _HUNDRED_YEARS or (unit.endswith(NUMBERS) and jump):
        warnings.append(
            f"times run from {_format_time(low, ticks)} to {_format_time(high, ticks)}, more than "
            "a hundred years or a change of unit: are seconds and milliseconds mixed, or "
            "placeholders among them?"
        )
    if zeros:
        warnings.append(f"{zeros} times are 0 (1970-01-01): missing ones?")
    return warnings


def _format_time(time: float, ticks: float) -> str:
    try:
        return str(np.datetime64(int(time / ticks), "s").astype("datetime64[D]"))
    except (OverflowError, ValueError):
        return f"{time:.6g}"


def _candidate_formats(cells: Sequence[str], column: str, extremes: Extremes) -> list[str]:
    """Return all formats of the cells' kind of date."""
    match = next((m for cell in cells if (m := _DAY_MONTH.match(cell))), None)
    if match is not None:
        separator = match.group(2)
        if len(match.group(4)) == 2:
            raise UserError(
                f"{column} has dates with two digits for the year ({match.group()}), which can be "
                "read in several ways; choose with --time-format, like "
                f"%d{separator}%m{separator}%y."
            )
        order = _day_or_month_first(match.group(), column, separator, extremes)
        dates = [order]
        return [*dates, *_with_clocks(dates)]
    if any(re.match(r"\d{4}[-/]", cell) for cell in cells):
        dates = ["%Y-%m-%d", "%Y/%m/%d"]
        return [*dates, *_with_clocks(dates)]
    return list(_NAMED)


def _with_clocks(dates: Sequence[str]) -> list[str]:
    return [
        f"{date}{gap}{clock}{zone}"
        for date, gap, clock, zone in product(dates, (" ", "T", ", "), _CLOCKS, _ZONES)
    ]


def _day_or_month_first(example: str, column: str, separator: str, extremes: Extremes) -> str:
    first, second = extremes()
    if first > 12 and second > 12:
        raise UserError(
            f"{column} has dates with the day first and with the month first ({example}, ...); "
            "write them in one way."
        )
    if first > 12:
        return f"%d{separator}%m{separator}%Y"
    if second > 12:
        return f"%m{separator}%d{separator}%Y"
    raise UserError(
        f"{column} has dates that can be read in two ways ({example}), and no day is above 12; "
        f"give --time-format %d{separator}%m{separator}%Y or %m{separator}%d{separator}%Y."
    )


def _matching_formats(cells: Sequence[str], formats: Sequence[str]) -> list[str]:
    """Return the formats of the family that the first cells need, in its order."""
    unparsed = pl.Series(cells[:1000])
    matching = []
    for format in formats:
        if not len(unparsed):
            break
        parsed = pl.select(TimeReader("", (format,)).read(pl.lit(unparsed))).to_series()
        if parsed.null_count() < len(unparsed):
            matching.append(format)
            unparsed = unparsed.filter(parsed.is_null())
    return matching or list(formats[:1])
