"""Text for terminals: whether a stream is one, and lines wrapped at words. Loads no library early.

Widths are counted in cells: an emoji or a Chinese character takes two (`rich.cells`).
"""

import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from typing import IO

_LABEL = re.compile(r"\[\d+/\d+\] |[A-Za-z]+:? {2,}|- | *")
"""Beginning of a line below which its further lines are not written."""

_COMMAND = re.compile(r"(?:^|(?<=\s))(?:python -m|mlflow ui|mlflow db) \S.*$")
"""A command at the end of a line: it is to be copied, so it is never broken by us."""

_PIECE = re.compile(r"[^·]*·+|[^·]+")
_FINE_PIECE = re.compile(r"[^_/.,=-]*[_/.,=-]+|[^_/.,=-]+")
"""Parts of a trial's name, and parts of those, between which a line may break."""


def is_terminal(stream: IO[str]) -> bool:
    """Return whether the stream is a terminal that can move its cursor; `TERM=dumb` cannot."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def stream_width(stream: IO[str]) -> int | None:
    """Return the columns of the terminal that the stream is; None for a pipe or file."""
    if not stream.isatty():
        return None
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        columns = 0
    return columns or shutil.get_terminal_size().columns


def printable(text: str, encoding: str = "utf-8") -> str:
    """Return text as one line that a terminal shows as it is.

    Control characters become escapes; signs without width that join or vary others are left out,
    since terminals do not agree on the width of the result. What the encoding lacks is escaped.
    """
    signs = []
    for sign in text:
        kind = unicodedata.category(sign)
        if kind == "Cf" or "\ufe00" <= sign <= "\ufe0f":
            continue
        if sign.isprintable() or kind == "Zs":
            signs.append(sign)
        else:
            signs.append(" " if sign == "\t" else sign.encode("unicode_escape").decode())
    return "".join(signs).encode(encoding, "backslashreplace").decode(encoding)


def wrap_words(text: str, width: int, *, chop: bool = False) -> list[str]:
    """Return the lines of a text, broken at spaces, or within a trial's name behind a `·`.

    Args:
        text: one line.
        width: cells of a line at most.
        chop: break words that are longer than a line, too, best behind a sign such as `_`;
            otherwise the terminal does, so that a path or an address is copied in one piece.
    """
    if text.isascii() and len(text) <= width:
        return [text]
    from rich.cells import cell_len, chop_cells

    lines: list[str] = []
    line = ""
    for gap, piece in _pieces(text, width, fine=chop):
        if line.strip() and cell_len(line + gap + piece) > width:
            lines.append(line)
            line, gap = "", ""
        parts = [piece]
        if chop and cell_len(line + gap + piece) > width:
            gap = ""
            parts = chop_cells(piece, width)
        lines += parts[:-1]
        line += gap + parts[-1]
    return [*lines, line]


def _pieces(text: str, width: int, *, fine: bool) -> Iterator[tuple[str, str]]:
    """Yield (space before it, word), in parts for a word that is wider than a line."""
    from rich.cells import cell_len

    for gap, word in re.findall(r"(\s*)(\S+)", text):
        parts = [word] if cell_len(word) <= width else _PIECE.findall(word)
        if fine:
            split = ([p] if cell_len(p) <= width else _FINE_PIECE.findall(p) for p in parts)
            parts = [part for piece in split for part in piece]
        yield from zip([gap, *[""] * (len(parts) - 1)], parts, strict=True)


def wrap_line(text: str, width: int | None) -> str:
    """Return a line of output wrapped at words for a terminal; as it is for a pipe (None)."""
    if width is None or (text.isascii() and len(text) <= width):
        return text
    label = _LABEL.match(text)
    hang = 0 if label is None or 2 * label.end() > width else label.end()
    command = _COMMAND.search(text, hang + 1)
    body = text[hang : None if command is None else command.start()].rstrip()
    lines = wrap_words(body, width - hang)
    shown = text[:hang] + f"\n{'':{hang}}".join(lines)
    return shown if command is None else f"{shown}\n  {command[0]}"


def write_lines(stream: IO[str], text: str) -> None:
    """Write lines at once: wrapped at words on a terminal, as they are on a pipe."""
    width = stream_width(stream)
    stream.write("\n".join(wrap_line(line, width) for line in text.split("\n")) + "\n")
    stream.flush()
