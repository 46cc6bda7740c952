"""What a file of ratings looks like: its separator, its header, its four columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from diffrec.errors import UserError, did_you_mean

KNOWN_NAMES = {
    "user": ("user", "userid", "user_id", "uid", "reviewerid", "visitorid", "customer_id"),
    "item": (
        *("item", "itemid", "item_id", "iid", "movieid", "movie_id", "asin", "parent_asin"),
        *("product_id", "business_id", "book_id", "artist_id", "track_id"),
    ),
    "rating": ("rating", "ratings", "stars", "overall", "score"),
    "time": ("timestamp", "time", "ts", "date", "datetime", "unixreviewtime", "unix_timestamp"),
}
_SEPARATORS = ("::", "\t", ",", ";", "|")


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Names in the file's header; None is recognised by itself."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read the four columns of a file."""

    names: dict[str, str]
    """user, item and perhaps rating, time: the column's name, its place without a header."""

    separator: str | None
    """None for Parquet."""

    has_header: bool = True
    text_ids: bool = False

    @property
    def has_rating(self) -> bool:
        """Whether the file has ratings."""
        return "rating" in self.names

    @property
    def has_time(self) -> bool:
        """Whether the file has timestamps."""
        return "time" in self.names

    def with_text_ids(self) -> "Layout":
        """Return the same layout, its ids read as text."""
        return replace(self, text_ids=True)

    def scan(self, path: Path) -> pl.LazyFrame:
        """Return the file's columns, named user, item, rating, time; nothing is read yet."""
        if self.separator is None:
            table = pl.scan_parquet(path)
        else:
            # A two-character separator is read as one, with an empty column between.
            table = pl.scan_csv(
                path,
                separator=self.separator[0],
                has_header=self.has_header,
                infer_schema=not self.text_ids,
                infer_schema_length=10_000,
            )
        names = self.names
        if not self.has_header:
            header = table.collect_schema().names()
            names = {kind: header[int(place)] for kind, place in self.names.items()}
        chosen = table.select(pl.col(name).alias(kind) for kind, name in names.items())
        floats = [kind for kind in ("user", "item") if chosen.collect_schema()[kind].is_float()]
        if floats:
            raise UserError(
                f"The {floats[0]} ids of {path} must be integers or text, but are fractions; name "
                "the right column."
            )
        return chosen

    def value_columns(self) -> list[pl.Expr]:
        """Return rating and time as numbers; what is none becomes null."""
        found: list[pl.Expr] = []
        if self.has_rating:
            found.append(pl.col("rating").cast(pl.Float32, strict=False).fill_nan(None))
        if self.has_time:
            found.append(_TIME)
        return found


def find_layout(path: Path, columns: Columns) -> Layout:
    """Look at the file's beginning and find its columns.

    Raises:
        UserError: there is no such file, or no user or item column in it.
    """
    if not path.is_file():
        raise UserError(f"No file of ratings at {path}; check the path.")
    if path.suffix == ".parquet":
        try:
            return Layout(_match(path, list(pl.read_parquet_schema(path)), columns), None)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise UserError(f"{path} must be a Parquet file, but cannot be read as one.") from error
    first = _first_line(path)
    separator = next((s for s in _SEPARATORS if s in first), ",")
    cells = first.split(separator)
    if all(_is_number(cell) for cell in cells[1:]) and not any(
        (columns.user, columns.item, columns.rating, columns.time)
    ):
        return _by_position(path, cells, separator)
    return Layout(_match(path, cells, columns), separator)


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        line = file.readline(65536)
    try:
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} must be text in UTF-8 or a .parquet file, but its first line is neither."
        ) from error


def _by_position(path: Path, cells: Sequence[str], separator: str) -> Layout:
    """Return the layout of a file without a header: user, item, rating, timestamp."""
    if not 2 <= len(cells) <= 4:
        raise UserError(
            f"{path} has no header, so its columns must be user, item, rating, timestamp (the last "
            f"one or two may be left out), but it has {len(cells)}; add a header."
        )
    step = len(separator)
    names = {
        kind: str(step * place)
        for place, kind in enumerate(("user", "item", "rating", "time")[: len(cells)])
    }
    return Layout(names, separator, has_header=False)


def _match(path: Path, header: Sequence[str], columns: Columns) -> dict[str, str]:
    # RecBole's atomic files write `user_id:token`.
    plain = {name.strip().strip('"').partition(":")[0].lower(): name for name in header}
    found: dict[str, str] = {}
    for kind, known in KNOWN_NAMES.items():
        asked = getattr(columns, kind)
        if asked is not None and asked not in header:
            raise UserError(
                f"{path} has no column {asked!r}{did_you_mean(asked, header)}; it has "
                f"{', '.join(header)}."
            )
        name = asked or next((plain[name] for name in known if name in plain), None)
        if name is not None:
            found[kind] = name.strip().strip('"')
        elif kind in ("user", "item"):
            raise UserError(
                f"{path} must have a column of {kind}s, but none of {', '.join(header)[:200]} is "
                f"known as one; name it with --{kind}-column."
            )
    return found


def _as_integers(times: pl.Series) -> pl.Series:
    if times.dtype == pl.String:
        numbers = times.cast(pl.Int64, strict=False)
        if numbers.null_count() == times.null_count():
            return numbers
        try:
            return times.str.to_datetime(strict=False, time_unit="us").cast(pl.Int64)
        except pl.exceptions.ComputeError:  # not one cell looks like a date: all are unreadable
            return pl.Series(times.name, [None] * len(times), dtype=pl.Int64)
    if times.dtype.is_temporal():
        return times.cast(pl.Datetime("us")).cast(pl.Int64)
    return times.cast(pl.Int64, strict=False)


_TIME = pl.col("time").map_batches(_as_integers, return_dtype=pl.Int64, is_elementwise=True)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
