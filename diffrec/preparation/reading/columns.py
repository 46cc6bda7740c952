"""Choice of the user, item, rating and time columns: by name, by position, or by values.

Names match without case, blanks, `_`, `-` and `.`; RecBole's `user_id:token` is `user_id`. Of
several columns that could be meant the first in `KNOWN_NAMES` is taken, and the others are named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffrec.errors import UserError, did_you_mean
from diffrec.preparation.reading.options import ABSENT, ROLES, Columns, Role
from diffrec.preparation.reading.values import (
    counts_rows,
    is_clock_column,
    is_date_column,
    is_number_column,
    looks_like_rating,
    looks_like_time,
)

KNOWN_NAMES: dict[Role, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "userno", "usernr", "reviewerid", "visitorid", "customerid"),
        *("memberid", "accountid", "personid", "profileid", "playerid", "clientid", "buyerid"),
        *("customer", "visitor", "reviewer", "username", "usr", "usrid", "useridx", "userkey"),
    ),
    "item": (
        *("item", "itemid", "iid", "itemno", "itemidx", "itemkey", "movieid", "asin"),
        *("productid", "parentasin", "businessid", "bookid", "isbn", "isbn13", "artistid"),
        *("trackid", "songid", "albumid", "videoid", "gameid", "appid", "animeid", "newsid"),
        *("articleid", "contentid", "documentid", "docid", "poiid", "venueid", "placeid"),
        *("locationid", "listingid", "hotelid", "recipeid", "courseid", "jobid", "adid"),
        *("goodsid", "skuid", "sku", "product", "movie", "book", "artist", "track", "song"),
    ),
    "rating": ("rating", "ratings", "stars", "overall", "score", "bookrating", "userrating"),
    "time": (
        *("timestamp", "time", "ts", "datetime", "date", "unixreviewtime", "unixtimestamp"),
        *("unixtime", "reviewtime", "eventtime", "createdat", "createdtime", "ratedat"),
        *("timestampms", "timems", "ratingtimestamp", "reviewdate", "ratingdate", "eventdate"),
        "day",
    ),
}
_ASIN = re.compile(r"B0[0-9A-Z]{8}|[0-9]{9}[0-9X]")
_REVIEWER = re.compile(r"A[0-9A-Z]{10,28}")
_RECBOLE_TYPES = ("token", "float", "token_seq", "float_seq")


@dataclass(slots=True)
class ColumnChoice:
    """Positions of the columns, counted from 0, with notes for the user."""

    indices: dict[Role, int]
    clock: int | None = None
    """Column of the time of day, if `time` is a date alone."""

    notes: list[str] = field(default_factory=list)


def plain_name(name: str) -> str:
    """Return a column's name in the normal form used for comparison."""
    bare, colon, kind = name.strip().strip('"').strip().partition(":")
    if colon and kind.strip() not in _RECBOLE_TYPES:
        bare = name.strip().strip('"')
    return "".join(c for c in bare.lower() if c not in " \t_-.\u00a0")


def has_known_names(cells: Sequence[str]) -> bool:
    """Return whether a row names a user's, item's, rating's or time's column."""
    names = {plain_name(cell) for cell in cells}
    return any(not names.isdisjoint(known_names) for known_names in KNOWN_NAMES.values())


def choose_by_name(
    source: Path, names: Sequence[str], columns: Columns, rows: Sequence[Sequence[str]] = ()
) -> ColumnChoice:
    """Choose columns by the header's names.

    Args:
        source: the source, for messages.
        names: of all columns, in their order.
        columns: what the user named.
        rows: first rows, to recognise dates and times of day; none for typed columns.

    Raises:
        UserError: a column is missing, or two have the same name.
    """
    requested = columns.requested()
    indices: dict[Role, int] = {
        role: _find_column(source, names, column, role)
        for role, column in requested.items()
        if column != ABSENT
    }
    plain = [plain_name(name) for name in names]
    choice = ColumnChoice(indices)
    for role in ROLES:
        if role in requested:
            continue
        free = [index for index in range(len(names)) if index not in indices.values()]
        candidates = [
            index
            for known_name in KNOWN_NAMES[role]
            for index in free
            if plain[index] == known_name
        ]
        if not candidates:
            continue
        duplicates = [index for index in candidates if plain[index] == plain[candidates[0]]]
        if len(duplicates) > 1:
            raise UserError(
                f"{source} has {len(duplicates)} columns named {names[candidates[0]].strip()!r} "
                f"(columns {', '.join(str(index + 1) for index in duplicates)}); choose the "
                f"{role}'s by its position, like --{role}-column {duplicates[0] + 1}."
            )
        indices[role] = candidates[0]
        if role == "time":
            candidates = _combine_date_and_clock(choice, candidates, rows)
        if alternatives := candidates[1:]:
            choice.notes.append(
                f"{', '.join(repr(names[index].strip()) for index in alternatives)} could be the "
                f"{role} as well; --{role}-column chooses"
            )
    _require_user_and_item(source, names, choice)
    _refuse_duplicates(source, names, indices)
    return choice


def choose_by_position(
    source: Path, rows: Sequence[Sequence[str]], columns: Columns, fields: int
) -> ColumnChoice:
    """Choose columns of a table without a header: as requested, or user, item, then by values.

    Raises:
        UserError: the values are ambiguous, or a position is outside the table.
    """
    requested = columns.requested()
    indices: dict[Role, int] = {}
    for role, column in requested.items():
        if column == ABSENT:
            continue
        if not column.isdecimal() or not 1 <= int(column) <= fields:
            raise UserError(
                f"{source} has no header (its first row reads like the others), so columns are "
                f"given by position, 1 to {fields}, but --{role}-column is {column!r}."
            )
        indices[role] = int(column) - 1
    choice = ColumnChoice(indices)
    _refuse_duplicates(source, [f"column {index + 1}" for index in range(fields)], indices)
    if "user" in indices or "item" in indices:
        _require_user_and_item(source, [f"column {n + 1}" for n in range(fields)], choice)
    elif fields <= 4:
        _refuse_item_first(source, rows)
        indices |= {"user": 0, "item": 1}
    else:
        raise UserError(
            f"{source} has no header and {fields} columns; give their positions, like "
            "--user-column 1 --item-column 2, or --format sequences for lines of a user and items."
        )
    if fields <= 4:
        for index in range(fields):
            if index not in indices.values():
                _choose_by_values(source, rows, index, choice, requested)
    for role in ("user", "item"):
        if (
            role not in requested
            and "time" not in indices
            and looks_like_time([row[indices[role]] for row in rows if len(row) > indices[role]])
        ):
            choice.notes.append(
                f"column {indices[role] + 1}, taken as the {role}, reads like a time; "
                "--user-column, --item-column and --time-column choose"
            )
    return choice


def _refuse_item_first(source: Path, rows: Sequence[Sequence[str]]) -> None:
    """Refuse Amazon's tables of 2018 and later without a header: item, user, rating, time."""
    pairs = [row[:2] for row in rows if len(row) > 1]
    if pairs and all(_ASIN.fullmatch(a) and _REVIEWER.fullmatch(b) for a, b in pairs):
        raise UserError(
            f"{source} has no header, and its first column reads like Amazon's products "
            f"({pairs[0][0]}), the second like reviewers ({pairs[0][1]}); give --user-column 2 "
            "--item-column 1."
        )


def _choose_by_values(
    source: Path,
    rows: Sequence[Sequence[str]],
    index: int,
    choice: ColumnChoice,
    requested: dict[Role, str],
) -> None:
    """Take a column that is neither user nor item as rating or time, by its values."""
    cells = [row[index] for row in rows if len(row) > index]
    free = {role for role in ("rating", "time") if role not in {*choice.indices, *requested}}
    user = choice.indices["user"]
    counts = counts_rows([(row[user], row[index]) for row in rows if len(row) > max(user, index)])
    inferred: Role | None = None
    if "time" in free and looks_like_time(cells):
        inferred = "time"
    elif "rating" in free and looks_like_rating(cells) and not counts:
        inferred = "rating"
    elif "time" in free and choice.indices.get("rating") == index - 1 and is_number_column(cells):
        inferred = "time"  # the usual four: user, item, rating, time
    if inferred is None:
        if {"rating", "time"} <= set(requested):
            return
        raise UserError(
            f"{source} has no header, and its column {index + 1} ({', '.join(cells[:3])}, ...) may "
            f"be a rating, a time or neither; give --rating-column {index + 1}, --time-column "
            f"{index + 1}, or both as none."
        )
    choice.indices[inferred] = index


def _find_column(source: Path, names: Sequence[str], requested: str, role: Role) -> int:
    stripped = [name.strip().strip('"') for name in names]
    exact = [index for index, name in enumerate(stripped) if name == requested]
    matches = exact or [
        index for index, name in enumerate(names) if plain_name(name) == plain_name(requested)
    ]
    if len(matches) > 1:
        raise UserError(
            f"{source} has {len(matches)} columns named {requested!r}; give the position instead, "
            f"like --{role}-column {matches[0] + 1}."
        )
    if matches:
        position = int(requested) - 1 if requested.isdecimal() else matches[0]
        if position != matches[0] and 0 <= position < len(names):
            raise UserError(
                f"{source} has a column named {requested!r} at position {matches[0] + 1}, so "
                f"--{role}-column {requested} may mean two columns; rename it, or give "
                "--skip-lines 1 to leave the header out and count positions."
            )
        return matches[0]
    if requested.isdecimal() and 1 <= int(requested) <= len(names):
        return int(requested) - 1
    raise UserError(
        f"{source} has no column {requested!r}{did_you_mean(requested, stripped)}; it has "
        f"{', '.join(stripped)[:300]}."
    )


def _combine_date_and_clock(
    choice: ColumnChoice, candidates: list[int], rows: Sequence[Sequence[str]]
) -> list[int]:
    """Combine the columns of a date and of a time of day; return the remaining candidates."""
    cells = {index: [row[index] for row in rows if len(row) > index] for index in candidates}
    dates = [index for index in candidates if is_date_column(cells[index])]
    clocks = [index for index in candidates if is_clock_column(cells[index])]
    if not dates or not clocks:
        return candidates
    choice.indices["time"], choice.clock = dates[0], clocks[0]
    return [dates[0], *(index for index in candidates if index not in (dates[0], clocks[0]))]


def _require_user_and_item(source: Path, names: Sequence[str], choice: ColumnChoice) -> None:
    if not names:
        raise UserError(f"{source} must hold rows of ratings or events, but it has no columns.")
    for role in ("user", "item"):
        if role not in choice.indices:
            raise UserError(
                f"{source} must have a column of {role}s, but none of "
                f"{', '.join(name.strip() for name in names)[:200]} is known as one; name it with "
                f"--{role}-column."
            )


def _refuse_duplicates(source: Path, names: Sequence[str], indices: dict[Role, int]) -> None:
    for role, index in indices.items():
        for other_role, other_index in indices.items():
            if role != other_role and index == other_index:
                raise UserError(
                    f"{source} has one column {names[index].strip()!r}, but it was given as {role} "
                    f"and as {other_role}; choose another for one of the two."
                )
