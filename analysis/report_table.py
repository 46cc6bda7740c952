"""Tables of a report, whatever they show: one form, written as Markdown, LaTeX and CSV.

Names come from users. In Markdown and LaTeX their special characters are escaped; in CSV a cell
that a spreadsheet would run as a formula is marked as text (`csv_cell`).
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportTable:
    """Rows of text under a heading. Further lines of a cell are shown smaller, below the first."""

    name: str
    """File name of the table, without its ending."""

    heading: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def to_markdown(table: ReportTable) -> str:
    """Return the table as a section of a Markdown document."""
    note = f"\n{markdown_text(table.note)}" if table.note else ""
    rows = markdown_rows(table.head, table.rows)
    return "\n".join([f"## {markdown_text(table.heading)}\n", *rows, note]) + "\n"


def markdown_rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table of plain texts, the first column left-aligned."""
    return markdown_lines(head, (map(markdown_text, row) for row in rows))


def markdown_lines(head: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a Markdown table whose cells are Markdown already."""
    return [
        "| " + " | ".join(map(markdown_text, head)) + " |",
        "|---|" + "---:|" * (len(head) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def markdown_text(text: str) -> str:
    """Return text in one line that Markdown shows as it is: no markup, no table cell, no HTML."""
    flat = " ".join(text.split())
    flat = re.sub(r"([\\`*\[\]<>|~&])", r"\\\1", flat)
    # Within a word an underscore is none of Markdown's signs.
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", flat)


def to_csv(table: ReportTable) -> str:
    """Return the table as CSV; further lines of a cell have columns of their own."""
    depth = [
        max((row[i].count("\n") for row in table.rows), default=0) for i in range(len(table.head))
    ]
    names = zip(table.head, depth, strict=True)
    head = [f"{name} ({i + 1})" if i else name for name, n in names for i in range(n + 1)]
    rows: list[list[str]] = []
    for row in table.rows:
        texts: list[str] = []
        for cell, n in zip(row, depth, strict=True):
            parts = cell.split("\n")
            texts += [*parts, *[""] * (n + 1 - len(parts))]
        rows.append(texts)
    return csv_text([head, *rows])


def csv_text(rows: Iterable[Iterable[str]]) -> str:
    """Return rows of texts as CSV for people: no cell is run as a formula."""
    text = io.StringIO()
    minimal = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [csv_cell(cell) for cell in row]
        # Python quotes only what its own line end needs, but every reader ends a row at "\r", too.
        (quoted if any("\r" in cell for cell in cells) else minimal).writerow(cells)
    return text.getvalue()


_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s?%?")


def csv_cell(text: str) -> str:
    """Return a cell that a spreadsheet shows and never runs.

    A cell that begins with `= + - @ '` or a control character and is no number gets one `'` before
    it, which spreadsheets read as "text"; taking one leading `'` away gives the value back.
    """
    risky = text[:1] in ("=", "+", "-", "@", "'") or (text[:1] != "" and ord(text[0]) < 32)
    return f"'{text}" if risky and not _NUMBER.fullmatch(text) else text


def to_latex(table: ReportTable) -> str:
    """Return the table for a paper (booktabs)."""
    return latex_tabular(table.heading, table.head, table.rows)


def latex_tabular(comment: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a booktabs table of texts, under a comment of one line."""
    lines = [
        f"% {_one_line(comment)}; needs booktabs",
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        "\\toprule",
        " & ".join(map(_latex, head)) + r" \\",
        "\\midrule",
        *(" & ".join(map(_latex, row)) + r" \\" for row in rows),
    ]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _one_line(text: str) -> str:
    """Return a text without line breaks or other control characters."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(text.split()))


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "·": r" $\cdot$ ",
    "×": r"$\times$",
    "±": r"$\pm$",
    "–": "--",
    "<": "$<$",
    ">": "$>$",
    "→": r"$\to$",
    **{sign: f"\\{sign}" for sign in "_%&#${}"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))
