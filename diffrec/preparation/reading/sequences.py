"""A line per user, the items after the id: LightGCN's adjacency lists, S3Rec's sequences.

Both look alike; only the order differs in meaning. Items are taken in the line's order.
"""

import re
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np

from diffrec.errors import UserError
from diffrec.preparation.reading.dialect import BLANKS, Dialect
from diffrec.preparation.reading.line_survey import find_not_utf8
from diffrec.preparation.reading.options import ReadOptions
from diffrec.preparation.reading.plain_text import UNIT_SEPARATOR, PlainFile
from diffrec.preparation.reading.table import Table
from diffrec.preparation.reading.text_table import text_table


def sequence_table(file: PlainFile, separator: str, folder: Path, skipped: int) -> Table:
    """Return a row for every item of every line.

    Raises:
        UserError: a user has two lines.
    """
    target = folder / "pairs.plain"
    users: set[str] = set()
    counts = array("q")
    blank = empty = 0
    with (
        file.path.open(encoding="utf-8-sig", newline="\n") as lines,
        target.open("w", encoding="utf-8", newline="\n") as out,
    ):
        for number, line in enumerate(_lines(file, lines), start=1):
            user, *items = _cells(line, separator) if number > skipped else [""]
            counts.append(len(items))
            if not user:
                blank += number > skipped
                continue
            if user in users:
                raise UserError(
                    f"{file.source} must have one line for each user, but user {user!r} has a "
                    f"second in line {number}; join them, or give --format table."
                )
            users.add(user)
            empty += not items
            out.writelines(f"{user}{UNIT_SEPARATOR}{item}\n" for item in items)
    dialect = Dialect("table", UNIT_SEPARATOR, ("user", "item"), 2, (), 0, 0, 0, 0)
    plain = ReadOptions(quotes=False)
    table = text_table(replace(file, path=target, notes=()), dialect, folder, plain)
    ends = np.cumsum(counts)
    return replace(
        table,
        line_of=lambda row: int(np.searchsorted(ends, row, side="right")) + 1,
        lines={
            "lines": len(counts),
            "skipped lines": skipped,
            "blank lines": blank,
            "lines of users": len(users),
            "users without an item": empty,
        },
        names={"user": "first of each line", "item": "the others, in the line's order"},
        format="a line per user (LightGCN, S3Rec)",
        notes=[
            *file.notes,
            "items are taken in each line's order: where that is not the order of time, neither "
            "are the lists",
        ],
    )


def _lines(file: PlainFile, lines: TextIO) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file.source} must be text in UTF-8, but line {find_not_utf8(file.path)} is not; "
            "give --encoding, latin-1 or cp1252 for instance."
        ) from error


def _cells(line: str, separator: str) -> list[str]:
    cells = re.split(r"[ \t]+", line) if separator == BLANKS else line.split(separator)
    return [stripped for cell in cells if (stripped := cell.strip())] or [""]
