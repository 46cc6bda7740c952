"""Choice of the user, item, rating and time columns: by name, by place, or by its values.

Names match without case, blanks, `_`, `-` and `.`; RecBole's `user_id:token` is `user_id`. Of
several columns that could be meant the first in `KNOWN_NAMES` is taken, and the others are named.
"""

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
_RECBOLE_TYPES = ("token", "float", "token_seq", "float_seq")


@dataclass(slots=True)
class ColumnChoice:
    """Places of the columns, counted from 0, and what is to be said of them."""

    places: dict[Role, int]
    clock: int | None = None
    """Column of the time of day, where `time` is a date alone."""

    notes: list[str] = field(default_factory=list)


def plain_name(name: str) -> str:
    """Return a column's name as it is compared."""
    bare, colon, kind = name.strip().strip('"').strip().partition(":")
    if colon and kind.strip() not in _RECBOLE_TYPES:
        bare = name.strip().strip('"')
    return "".join(c for c in bare.lower() if c not in " \t_-.\u00a0")


def has_known_names(cells: Sequence[str]) -> bool:
    """Return whether a row names a user's, item's, rating's or time's column."""
    plain = {plain_name(cell) for cell in cells}
    return any(not plain.isdisjoint(known) for known in KNOWN_NAMES.values())


def choose_by_name(
    shown: Path, names: Sequence[str], columns: Columns, rows: Sequence[Sequence[str]] = ()
) -> ColumnChoice:
    """Choose columns by the header's names.

    Args:
        shown: the source, for messages.
        names: of all columns, in their order.
        columns: what the user named.
        rows: first rows, from which dates and times of day are told; none for typed columns.

    Raises:
        UserError: a column is missing, or two cannot be told apart.
    """
    given = columns.given()
    places: dict[Role, int] = {
        role: _find(shown, names, asked, role) for role, asked in given.items() if asked != ABSENT
    }
    plain = [plain_name(name) for name in names]
    choice = ColumnChoice(places)
    for role in ROLES:
        if role in given:
            continue
        free = [place for place in range(len(names)) if place not in places.values()]
        found = [place for known in KNOWN_NAMES[role] for place in free if plain[place] == known]
        if not found:
            continue
        twins = [place for place in found if plain[place] == plain[found[0]]]
        if len(twins) > 1:
            raise UserError(
                f"{shown} has {len(twins)} columns named {names[found[0]].strip()!r} (columns "
                f"{', '.join(str(place + 1) for place in twins)}); choose the {role}'s by its "
                f"place, like --{role}-column {twins[0] + 1}."
            )
        places[role] = found[0]
        if role == "time":
            found = _date_and_clock(choice, found, rows)
        if others := found[1:]:
            choice.notes.append(
                f"{', '.join(repr(names[place].strip()) for place in others)} could be the {role} "
                f"as well; --{role}-column chooses"
            )
    _require_user_and_item(shown, names, choice)
    _refuse_twice(shown, names, places)
    return choice


def choose_by_place(
    shown: Path, rows: Sequence[Sequence[str]], columns: Columns, fields: int
) -> ColumnChoice:
    """Choose columns of a table without a header: as given, or user, item, then by the values.

    Raises:
        UserError: the values do not tell, or a place lies outside the table.
    """
    given = columns.given()
    places: dict[Role, int] = {}
    for role, asked in given.items():
        if asked == ABSENT:
            continue
        if not asked.isdecimal() or not 1 <= int(asked) <= fields:
            raise UserError(
                f"{shown} has no header (its first row reads like the others), so columns are "
                f"given by place, 1 to {fields}, but --{role}-column is {asked!r}."
            )
        places[role] = int(asked) - 1
    choice = ColumnChoice(places)
    _refuse_twice(shown, [f"column {place + 1}" for place in range(fields)], places)
    if "user" in places or "item" in places:
        _require_user_and_item(shown, [f"column {n + 1}" for n in range(fields)], choice)
        return choice
    if fields > 4:
        raise UserError(
            f"{shown} has no header and {fields} columns; give their places, like --user-column 1 "
            "--item-column 2, or add a header."
        )
    places |= {"user": 0, "item": 1}
    for place in range(2, fields):
        if place not in places.values():
            _choose_by_values(shown, rows, place, fields, choice, given)
    return choice


def _choose_by_values(
    shown: Path,
    rows: Sequence[Sequence[str]],
    place: int,
    fields: int,
    choice: ColumnChoice,
    given: dict[Role, str],
) -> None:
    """Take the third or fourth column as rating or time, by its values."""
    cells = [row[place] for row in rows if len(row) > place]
    free = {role for role in ("rating", "time") if role not in {*choice.places, *given}}
    counts = counts_rows([(row[0], row[place]) for row in rows if len(row) > place])
    could: Role | None = None
    if "time" in free and looks_like_time(cells):
        could = "time"
    elif "rating" in free and looks_like_rating(cells) and not counts:
        could = "rating"
    elif "time" in free and choice.places.get("rating") == 2 and is_number_column(cells):
        could = "time"  # the usual four: user, item, rating, time
    if could is None:
        if {"rating", "time"} <= set(given):
            return
        raise UserError(
            f"{shown} has no header, and its column {place + 1} ({', '.join(cells[:3])}, ...) may "
            f"be a rating, a time or neither; say --rating-column {place + 1}, --time-column "
            f"{place + 1}, or both as none."
        )
    choice.places[could] = place


def _find(shown: Path, names: Sequence[str], asked: str, role: Role) -> int:
    stripped = [name.strip().strip('"') for name in names]
    exact = [place for place, name in enumerate(stripped) if name == asked]
    alike = exact or [
        place for place, name in enumerate(names) if plain_name(name) == plain_name(asked)
    ]
    if len(alike) > 1:
        raise UserError(
            f"{shown} has {len(alike)} columns named {asked!r}; give the place instead, like "
            f"--{role}-column {alike[0] + 1}."
        )
    if alike:
        return alike[0]
    if asked.isdecimal() and 1 <= int(asked) <= len(names):
        return int(asked) - 1
    raise UserError(
        f"{shown} has no column {asked!r}{did_you_mean(asked, stripped)}; it has "
        f"{', '.join(stripped)[:300]}."
    )


def _date_and_clock(
    choice: ColumnChoice, found: list[int], rows: Sequence[Sequence[str]]
) -> list[int]:
    """Put a date's column and a time of day's together; return the candidates that are left."""
    cells = {place: [row[place] for row in rows if len(row) > place] for place in found}
    dates = [place for place in found if is_date_column(cells[place])]
    clocks = [place for place in found if is_clock_column(cells[place])]
    if not dates or not clocks:
        return found
    choice.places["time"], choice.clock = dates[0], clocks[0]
    return [dates[0], *(place for place in found if place not in (dates[0], clocks[0]))]


def _require_user_and_item(shown: Path, names: Sequence[str], choice: ColumnChoice) -> None:
    for role in ("user", "item"):
        if role not in choice.places:
            raise UserError(
                f"{shown} must have a column of {role}s, but none of "
                f"{', '.join(name.strip() for name in names)[:200]} is known as one; name it with "
                f"--{role}-column."
            )


def _refuse_twice(shown: Path, names: Sequence[str], places: dict[Role, int]) -> None:
    for role, place in places.items():
        for other, same in places.items():
            if role != other and place == same:
                raise UserError(
                    f"{shown} has one column {names[place].strip()!r}, but it was given as {role} "
                    f"and as {other}; choose another for one of the two."
                )
