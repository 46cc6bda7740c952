"""Counts a text table's lines before parsing; ours, since lenient parsers lose lines silently.

A table is sound if every line outside quotes has as many separators as the header, and every `"`
opens at a cell's start and closes at a cell's end. Both are properties of bytes, so numpy checks
them at about a gigabyte in two seconds; a lenient parser then has nothing left to be lenient
about.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffrec.preparation.reading.plain_text import line_blocks

_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
_LONGEST_CELL = 1 << 26
"""Bytes after which an open quote counts as stray."""


@dataclass(slots=True)
class LineSurvey:
    """Counts over the lines of the rows; line numbers count from 1 at the file's beginning."""

    lines: int = 0
    rows: int = 0
    """Lines outside quotes, blank and bad ones included: the rows of a parser."""

    blank: int = 0
    inside_quotes: int = 0
    """Lines that begin inside a quoted cell: part of the row before."""

    has_quotes: bool = False
    bad: list[tuple[int, int]] = field(default_factory=list)
    """(line, fields) of rows with too few or too many fields."""

    bad_spans: list[tuple[int, int]] = field(default_factory=list)
    """Byte ranges of the bad rows, in the file."""

    stray: list[int] = field(default_factory=list)
    """Lines with a quote that neither opens nor closes a cell."""

    padded: list[int] = field(default_factory=list)
    """Lines with blanks between a quote and its separator."""

    row_like: list[int] = field(default_factory=list)
    """Lines inside a quoted cell that look like rows of their own."""

    not_utf8: int | None = None
    """First line that is not UTF-8."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Whole rows with their position in the file."""

    data: np.ndarray
    offset: int
    line: int
    separator: int
    fields: int


def survey_lines(
    path: Path, *, start: int, first_line: int, separator: str, fields: int, quotes: bool
) -> LineSurvey:
    """Survey the lines of a file.

    Args:
        path: text with line feeds.
        start: byte at which the rows begin.
        first_line: number of the line that begins there.
        separator: of one byte.
        fields: number that every row must have.
        quotes: whether `"` encloses cells.
    """
    survey = LineSurvey()
    offset, line, pending = start, first_line, b""
    for block in _blocks_with_final_feed(path, start):
        if survey.not_utf8 is None and not block.isascii():
            survey.not_utf8 = _first_not_utf8(block, line + pending.count(b"\n"))
        rows, pending, inside = _split_after_last_row(pending + block, quotes)
        if len(pending) > _LONGEST_CELL:
            break
        if not rows:
            continue
        data = np.frombuffer(rows, np.uint8)
        row_block = _Block(data, offset, line, ord(separator), fields)
        lines = (
            _survey_unquoted(row_block, survey)
            if inside is None
            else _survey_quoted(row_block, inside, survey)
        )
        offset += len(rows)
        line += lines
    if pending:
        opening = pending[: pending.find(b'"')]  # all before it is closed
        survey.stray.append(line + opening.count(b"\n"))
    survey.lines = line - first_line
    return survey


def _blocks_with_final_feed(path: Path, start: int) -> Iterator[bytes]:
    for block in line_blocks(path, start):
        yield block if block.endswith(b"\n") else block + b"\n"


def _split_after_last_row(block: bytes, quotes: bool) -> tuple[bytes, bytes, np.ndarray | None]:
    """Return whole rows, the remaining bytes, and a mask of the rows' bytes inside quotes."""
    if not quotes or b'"' not in block:
        return block, b"", None
    data = np.frombuffer(block, np.uint8)
    inside = np.bitwise_xor.accumulate((data == _QUOTE).view(np.uint8)).view(bool)
    if not inside[-1]:
        return block, b"", inside
    ends = np.flatnonzero((data == _NEWLINE) & ~inside)
    stop = int(ends[-1]) + 1 if len(ends) else 0
    return block[:stop], block[stop:], inside[:stop]


def _survey_unquoted(block: _Block, survey: LineSurvey) -> int:
    """Survey rows without quotes; return their number of lines."""
    is_mark = (block.data == block.separator) | (block.data == _NEWLINE)
    marks = block.data[is_mark]
    rows, remainder = divmod(len(marks), block.fields)
    table = marks[: rows * block.fields].reshape(rows, block.fields) == _NEWLINE
    if remainder == 0 and table[:, -1].all() and not table[:, :-1].any():
        survey.rows += rows
        return rows
    return _survey_quoted(block, np.zeros(len(block.data), dtype=bool), survey)


def _survey_quoted(block: _Block, inside: np.ndarray, survey: LineSurvey) -> int:
    """Survey rows with quoted bytes; return their number of lines."""
    newlines = np.flatnonzero(block.data == _NEWLINE)
    is_inner = inside[newlines]
    separators = np.flatnonzero(block.data == block.separator)
    quote_positions = np.flatnonzero(block.data == _QUOTE)
    if len(quote_positions):
        survey.has_quotes = True
        _check_quotes(block, quote_positions, inside, newlines, survey)
        begins_inside = np.concatenate(([False], is_inner[:-1]))
        quoted = separators[inside[separators]]
        counts = np.diff(np.searchsorted(quoted, newlines), prepend=0)
        row_like = np.flatnonzero(begins_inside & (counts >= block.fields - 1))
        survey.row_like += (block.line + row_like).tolist()
    ends = newlines[~is_inner]
    num_fields = 1 + np.diff(np.searchsorted(separators[~inside[separators]], ends), prepend=0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    for row in np.flatnonzero(num_fields != block.fields).tolist():
        begin, end = int(starts[row]), int(ends[row])
        if num_fields[row] == 1 and not block.data[begin:end].tobytes().strip():
            survey.blank += 1
            continue
        line = block.line + int(np.searchsorted(newlines, begin))
        survey.bad.append((line, int(num_fields[row])))
        survey.bad_spans.append((block.offset + begin, block.offset + end + 1))
    survey.rows += len(ends)
    survey.inside_quotes += int(np.count_nonzero(is_inner))
    return len(newlines)


def _check_quotes(
    block: _Block,
    positions: np.ndarray,
    inside: np.ndarray,
    newlines: np.ndarray,
    survey: LineSurvey,
) -> None:
    """Find quotes that neither open at a cell's start nor close at a cell's end."""
    data, separator = block.data, bytes([block.separator])
    opens = inside[positions]
    before = np.where(positions > 0, data[positions - 1], _NEWLINE)
    after = data[np.minimum(positions + 1, len(data) - 1)]
    starts_cell = np.isin(before, (block.separator, _NEWLINE, _QUOTE))
    ends_cell = np.isin(after, (block.separator, _NEWLINE, _RETURN, _QUOTE))
    for position in positions[np.where(opens, ~starts_cell, ~ends_cell)].tolist():
        line = block.line + int(np.searchsorted(newlines, position))
        head = data[max(0, position - 64) : position].tobytes().rstrip(b" \t")
        tail = data[position + 1 : position + 65].tobytes().lstrip(b" \t")
        is_padded = (
            head[-1:] in (separator, b"\n", b"")
            if inside[position]
            else (tail[:1] in (separator, b"\n", b"\r"))
        )
        (survey.padded if is_padded else survey.stray).append(line)


def _first_not_utf8(block: bytes, first_line: int) -> int | None:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        return first_line + block.count(b"\n", 0, error.start)
    return None


def find_not_utf8(path: Path) -> int | None:
    """Return the first line that is not UTF-8, counted from 1; None if all are."""
    line = 1
    for block in line_blocks(path):
        if (found := _first_not_utf8(block, line)) is not None:
            return found
        line += block.count(b"\n")
    return None


def find_line(path: Path, *, start: int, first_line: int, row: int, quotes: bool) -> int:
    """Return the line at which a row begins, counted from 0 over the rows a parser makes."""
    pending, line, num_rows = b"", first_line, 0
    for block in _blocks_with_final_feed(path, start):
        rows, pending, inside = _split_after_last_row(pending + block, quotes)
        data = np.frombuffer(rows, np.uint8)
        newlines = np.flatnonzero(data == _NEWLINE)
        ends = newlines if inside is None else newlines[~inside[newlines]]
        if row < num_rows + len(ends):
            begin = 0 if row == num_rows else int(ends[row - num_rows - 1]) + 1
            return line + int(np.searchsorted(newlines, begin))
        num_rows += len(ends)
        line += len(newlines)
    return line
