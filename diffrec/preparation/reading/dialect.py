"""Dialect of a text table: lines before the rows, separator, header."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diffrec.errors import UserError
from diffrec.preparation.reading.columns import KNOWN_NAMES, has_known_names
from diffrec.preparation.reading.options import ReadOptions
from diffrec.preparation.reading.plain_text import PlainFile, read_sample
from diffrec.preparation.reading.values import is_number_column, looks_like_time

BLANKS = " "
"""Separator that means runs of blanks and tabs."""

COLONS = "::"
SEPARATORS = (COLONS, "\t", ",", ";", "|", BLANKS)
_SEQUENCE_CANDIDATES = (BLANKS, "\t", ",")
_COMMENT_MARKS = ("#", "%", "//")
_NOT_BLANK = r"[^ \t]+"
_QUOTED_OR_NOT = rf'"[^"]*"(?=[ \t]|$)|{_NOT_BLANK}'
_QUOTED = re.compile(r'^"(.*)"$')
_FIRST_LINES = 200
_MOST_HEADERS = 0.1
"""Largest share of rows that may repeat the header."""

_REGULAR = 0.9
"""Least share of lines with the same number of fields for a regular separator."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Separator, header and first rows of a file."""

    kind: Literal["table", "sequences"]
    separator: str
    header: tuple[str, ...] | None
    fields: int
    rows: tuple[tuple[str, ...], ...]
    """First rows, cells without blanks at their ends."""

    blank: int
    comments: int
    header_lines: int
    """Lines before the first row: blank, comments (`sep=` included), the header."""

    skipped: int
    """Lines skipped by `ReadOptions.skip_lines`."""

    notes: tuple[str, ...] = ()

    @property
    def lines_before_rows(self) -> int:
        """Number of lines before the first row."""
        return self.skipped + self.blank + self.comments + self.header_lines


def find_dialect(file: PlainFile, options: ReadOptions) -> Dialect:
    """Return the dialect of a file, recognised from its first lines.

    Raises:
        UserError: there is no row, or no separator makes columns of the lines.
    """
    lines, _ = read_sample(file.path)
    body, blank, comments, declared = _split_preamble(lines, options)
    if not body:
        raise UserError(f"{file.source} must hold rows of ratings or events, but it holds none.")
    separator = options.separator or declared
    separator = {"\\t": "\t", "tab": "\t", "space": BLANKS}.get(separator or "", separator)
    is_table = options.format != "sequences"
    if separator is None:
        separator, is_regular = _find_separator(body, options)
        if options.format == "auto" and is_regular and separator == BLANKS:
            is_table = not _is_adjacency(body, options)
        elif options.format == "auto" and not is_regular:
            sequence_separator = next(
                (s for s in _SEQUENCE_CANDIDATES if _are_sequences(body, s)), None
            )
            is_table, separator = sequence_separator is None, sequence_separator or separator
    separator = _require_separator(file.source, separator)
    if not is_table:
        rows = tuple(tuple(row) for row in cut(body[:_FIRST_LINES], separator, quotes=False))
        return Dialect(
            "sequences", separator, None, 0, rows, blank, len(comments), 0, options.skip_lines
        )
    return _table_dialect(file.source, body, separator, (blank, comments), options)


def cut(lines: Sequence[str], separator: str, *, quotes: bool) -> list[list[str]]:
    """Return the cells of each row, without blanks at their ends; blank lines are left out."""
    if separator == BLANKS or len(separator) > 1:
        cells = re.compile(_QUOTED_OR_NOT if quotes else _NOT_BLANK)
        rows = [
            cells.findall(line) if separator == BLANKS else line.split(separator)
            for line in lines
            if line.strip()
        ]
        if quotes:
            rows = [[_QUOTED.sub(r"\1", cell.strip()) for cell in row] for row in rows]
    else:
        reader = csv.reader(
            [line + "\n" for line in lines],
            delimiter=separator,
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
            skipinitialspace=separator not in " \t",
        )
        try:
            rows = [row for row in reader if row and any(cell.strip() for cell in row)]
        except csv.Error:
            rows = [line.split(separator) for line in lines if line.strip()]
    return [[cell.strip() for cell in row] for row in rows]


def _first_rows(body: Sequence[str], separator: str, options: ReadOptions) -> list[list[str]]:
    """Return the cells of the first rows.

    A quote in the first row that never closes swallows all that follow. The lines are then cut as
    if there were no quotes, and the survey of the lines refuses the file and names the quote.
    """
    rows = cut(body[:_FIRST_LINES], separator, quotes=options.quotes is not False)
    if options.quotes is None and len(rows) <= 2:
        plain = cut(body[:_FIRST_LINES], separator, quotes=False)
        ((_, frequency),) = Counter(map(len, plain)).most_common(1) or [(0, 0)]
        if len(plain) > 2 and frequency >= _REGULAR * len(plain):
            return plain
    return rows


def _split_preamble(
    lines: Sequence[str], options: ReadOptions
) -> tuple[list[str], int, list[str], str | None]:
    """Return the lines from the header on, the blank and comment lines before, `sep=`'s value."""
    start, blank, comments, declared = options.skip_lines, 0, [], None
    remaining = list(lines[start:])
    while remaining:
        line = remaining[0].strip()
        if not line:
            blank += 1
        elif line.lower().startswith("sep=") and len(line) <= 6 and declared is None:
            declared = line[4:] or ","
            comments.append("")
        elif line.startswith(_COMMENT_MARKS) and not _is_data(remaining, line):
            comments.append(line)
        else:
            break
        remaining.pop(0)
    return remaining, blank, comments, declared


def _is_data(lines: Sequence[str], first: str) -> bool:
    """Return True if later lines begin with the same mark among others, as part of ids."""
    mark = next(mark for mark in _COMMENT_MARKS if first.startswith(mark))
    is_marked = [text.startswith(mark) for text in lines]
    if all(is_marked):
        return not all(text.removeprefix(mark)[:1] in ("", " ", "\t", mark[0]) for text in lines)
    return any(is_marked[is_marked.index(False) :])


def _find_separator(body: Sequence[str], options: ReadOptions) -> tuple[str | None, bool]:
    """Return the separator that cuts the lines most evenly, and whether it does so at all."""
    best_score: tuple[float, int, int] | None = None
    best_separator = None
    for rank, separator in enumerate(SEPARATORS):
        rows = _first_rows(body, separator, options)
        counts = Counter(len(row) for row in rows[1:] or rows)
        fields, frequency = counts.most_common(1)[0] if counts else (0, 0)
        # A cell that begins or ends within quotes was cut inside them.
        if fields < 2 or (separator == COLONS and any(c.count('"') % 2 for r in rows for c in r)):
            continue
        share = frequency / counts.total()
        is_regular = share >= _REGULAR
        is_named = _names_columns(rows) and len(rows[0]) > 1
        # Blanks come last: titles and dates contain them as well.
        score = (
            is_regular + is_named + share * (not is_regular),
            (fields if separator != BLANKS else 0),
            -rank,
        )
        if best_score is None or score > best_score:
            best_score, best_separator = score, separator
    return best_separator, best_score is not None and best_score[0] >= 1


def _are_sequences(body: Sequence[str], separator: str) -> bool:
    """Return whether each line is a user and then items: every user has one line."""
    rows = [row if row[-1] else row[:-1] for row in cut(body, separator, quotes=False)]
    users = [row[0] for row in rows]
    return (
        len(rows) > 1
        and max(map(len, rows)) > 2
        and len(set(users)) == len(users)
        and all(cell and '"' not in cell for row in rows for cell in row)
    )


def _is_adjacency(body: Sequence[str], options: ReadOptions) -> bool:
    """Return whether lines of equal length are nevertheless a user and then items."""
    rows = cut(body, BLANKS, quotes=False)
    return (
        len(rows[0]) > len(KNOWN_NAMES)
        and not options.columns.requested()
        and not has_known_names(rows[0])
        and _are_sequences(body, BLANKS)
        and all(len(set(row[1:])) == len(row) - 1 for row in rows)
        and not any(looks_like_time(column) for column in zip(*rows, strict=False))
    )


def _require_separator(source: Path, separator: str | None) -> str:
    if separator is None:
        raise UserError(
            f"{source} must have columns, but no separator (tab, comma, semicolon, |, ::, blank) "
            "cuts its lines in two; give --separator."
        )
    if len(separator) > 1 and separator != COLONS:
        raise UserError(
            f"A separator must be one character, or ::, but got {separator!r}; write the file with "
            "another."
        )
    if separator in ('"', "\n", "\r"):
        raise UserError(f"A separator must not be {separator!r}; give another.")
    return separator


def _table_dialect(
    source: Path,
    body: Sequence[str],
    separator: str,
    before: tuple[int, list[str]],
    options: ReadOptions,
) -> Dialect:
    blank, comments = before
    rows = _first_rows(body, separator, options)
    counts = Counter(len(row) for row in rows[1:] or rows)
    fields = counts.most_common(1)[0][0]
    if fields < 2:
        raise UserError(
            f"{source} must have columns, but the separator {separator!r} does not cut its lines "
            "in two; give another."
        )
    header, header_lines, notes = None, 0, []
    comment = comments[-1].lstrip("#%/ ") if comments else ""
    if comment and not has_known_names(rows[0]):
        (cells,) = cut([comment], separator, quotes=True) or [[]]
        if len(cells) == fields and has_known_names(cells):
            header = cells
            notes.append("the header is the comment before the rows")
    if header is None and _is_header(rows, fields, options):
        header, header_lines = rows.pop(0), 1
        first_blank = next((n for n, line in enumerate(body[1:]) if line.strip()), 0)
        blank += first_blank
    if header is not None:
        header = _complete_header(source, header, rows, fields, notes)
    return Dialect(
        "table",
        separator,
        None if header is None else tuple(header),
        fields,
        tuple(tuple(row) for row in rows),
        blank,
        len(comments),
        header_lines,
        options.skip_lines,
        tuple(notes),
    )


def _is_header(rows: Sequence[Sequence[str]], fields: int, options: ReadOptions) -> bool:
    """Return True if the first row names the columns, False if it reads like the other rows."""
    first, later_rows = rows[0], rows[1:]
    names = [name for name in options.columns.requested().values() if not name.isdecimal()]
    if any(name in first for name in names):
        return True
    if _names_columns(rows):
        return not _reads_like_row(first, later_rows)
    for column in range(min(fields, len(first))):
        cells = [row[column] for row in later_rows if len(row) > column]
        if not first[column]:
            continue
        if is_number_column(cells) and not is_number_column([first[column]]):
            return True
        if looks_like_time(cells) and not looks_like_time([first[column]]):
            return True
    return False


def _names_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row has a column's name that is no value of that column."""
    first, later_rows = rows[0], rows[1:]
    return has_known_names(
        [
            cell
            for n, cell in enumerate(first)
            if sum(row[n] == cell for row in later_rows if len(row) > n)
            <= _MOST_HEADERS * len(later_rows)
        ]
    )


def _reads_like_row(first: Sequence[str], later_rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a row has numbers where the others have: an id may be the word `book`."""
    numeric = [
        is_number_column([cell])
        for n, cell in enumerate(first)
        if is_number_column([row[n] for row in later_rows if len(row) > n])
    ]
    return bool(numeric) and all(numeric)


def _complete_header(
    source: Path,
    header: list[str],
    rows: Sequence[Sequence[str]],
    fields: int,
    notes: list[str],
) -> list[str]:
    """Return a name for every field, also if R left out that of the row names."""
    if len(header) == fields:
        return header
    complete_rows = [row for row in rows if len(row) == fields]
    if len(header) == fields - 1:
        if all(row[-1] == "" for row in complete_rows):
            notes.append("each row ends in an empty cell without a name")
            return [*header, ""]
        numbers = [row[0] for row in complete_rows]
        if numbers == [str(n) for n in range(1, len(complete_rows) + 1)]:
            notes.append("the first column has no name: row numbers, as R writes them")
            return ["", *header]
    raise UserError(
        f"{source} must have a name for every column, but its header has {len(header)} and its "
        f"rows have {fields} fields; correct the header, or skip lines before it with --skip-lines."
    )
