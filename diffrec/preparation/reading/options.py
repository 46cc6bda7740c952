"""Options of reading a source of ratings or events; no polars here."""

import re
from dataclasses import dataclass, field
from typing import Literal

from diffrec.errors import UserError

SourceFormat = Literal["auto", "table", "sequences"]
Role = Literal["user", "item", "rating", "time"]
ROLES: tuple[Role, ...] = ("user", "item", "rating", "time")

ABSENT = "none"
"""Value of `Columns.rating` or `Columns.time` for a source without that column, or to ignore it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Columns by name, or by position counted from 1; None: recognised from names or values."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        for role in ("user", "item"):
            if getattr(self, role) == ABSENT:
                raise UserError(
                    f"A source must have a column of {role}s, but --{role}-column is {ABSENT!r}; "
                    "name it, or give its position."
                )

    def requested(self) -> dict[Role, str]:
        """Return the columns that the caller named, by role."""
        return {role: value for role in ROLES if (value := getattr(self, role)) is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """Settings for what cannot be recognised from a source's content."""

    columns: Columns = field(default_factory=Columns)
    format: SourceFormat = "auto"
    """`sequences`: a line per user, the user's id first, then the items (LightGCN, S3Rec)."""

    separator: str | None = None
    """Separator between cells; None: recognised from the lines."""

    quotes: bool | None = None
    """False: `"` is a character like any other. True: cells in quotes may run over lines that look
    like rows. None: quotes are respected, doubtful ones refused."""

    encoding: str | None = None
    """Encoding of text; None: UTF-8, or that of a byte order mark."""

    skip_lines: int = 0
    """Lines before the header or, without one, before the first row."""

    time_format: str | None = None
    """strptime format of the times, for dates that can be read in two ways."""

    drop_bad_rows: bool = False
    """Drop and count rows that would be refused (fields missing or too many, unreadable cells)."""

    def __post_init__(self) -> None:
        if self.skip_lines < 0:
            raise UserError(f"`skip_lines >= 0` must hold, but got {self.skip_lines}.")
        if self.separator is not None and (not self.separator or "\0" in self.separator):
            raise UserError(
                f"A separator must be a character or more of a text, but got {self.separator!r}."
            )
        if self.encoding is not None:
            try:
                b"-".decode(self.encoding)  # `hex` is an encoding too, but not of text
            except UnicodeError:
                pass  # of more than a byte
            except (LookupError, ValueError):
                raise UserError(
                    f"An encoding must be one that Python knows, like latin-1, cp1252 or utf-16, "
                    f"but got {self.encoding!r}."
                ) from None
        if self.time_format is not None:
            codes = set(re.findall(r"%[-_0#]?[.:]*([A-Za-z+])", self.time_format))
            if not codes - set("HIkMSpPfTRXrzZ"):
                raise UserError(
                    "A time format is that of dates, written as for strptime, like %d/%m/%Y, but "
                    f"got {self.time_format!r}."
                )
