"""A small table of ratings in every layout, and what must hold of it once it is read."""

from collections.abc import Iterable, Sequence

from diffrec.preparation.reading.source import Source

ROWS = [
    (f"u{u}", f"i{i}", 1 + (u * i) % 5, 1_400_000_000 + 60 * (7 * u + i))
    for u in range(4)
    for i in range(5)
]
PAIRS = [(user, item) for user, item, _, _ in ROWS]


def table(
    rows: Iterable[Sequence[object]] = ROWS,
    separator: str = ",",
    header: str | None = "user,item,rating,timestamp",
    end: str = "\n",
) -> str:
    """Return the rows as text, below the header (names between commas) if there is one."""
    lines = [] if header is None else [header.replace(",", separator)]
    lines += [separator.join(map(str, row)) for row in rows]
    return end.join(lines) + end


def pairs(source: Source) -> list[tuple[str, str]]:
    """Return the (user, item) of every row, as text."""
    users, items = source.user_ids[source.users], source.item_ids[source.items]
    return list(zip(map(str, users.tolist()), map(str, items.tolist()), strict=True))


def check_accounts(source: Source) -> None:
    """Hold that every line of the source is accounted for."""
    lines = dict(source.report.lines)
    if lines and "lines of users" not in lines:
        assert lines.pop("lines") == sum(lines.values()) + sum(source.report.rows.values())
