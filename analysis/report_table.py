"""A table of a report, whatever it is about: one form, written as Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportTable:
    """Rows of text under a heading. What follows a line break in a cell belongs to it, smaller."""

    name: str
    """Of its files."""

    heading: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def sheet_markdown(sheet: ReportTable) -> str:
    """Return the sheet as a section of a Markdown document."""
    lines = [
        f"## {sheet.heading}\n",
        "| " + " | ".join(sheet.head) + " |",
        "|---|" + "---:|" * (len(sheet.head) - 1),
    ]
    lines += ["| " + " | ".join(_one_line(text) for text in row) + " |" for row in sheet.rows]
    return "\n".join([*lines, f"\n{sheet.note}" if sheet.note else ""]) + "\n"


def sheet_csv(sheet: ReportTable) -> str:
    """Return the sheet as CSV; what stands smaller in a cell has a column of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    depth = [
        max((row[i].count("\n") for row in sheet.rows), default=0) for i, _ in enumerate(sheet.head)
    ]
    names = zip(sheet.head, depth, strict=True)
    writer.writerow([f"{name} ({i + 1})" if i else name for name, n in names for i in range(n + 1)])
    for row in sheet.rows:
        texts: list[str] = []
        for cell, n in zip(row, depth, strict=True):
            parts = cell.split("\n")
            texts += [*parts, *[""] * (n + 1 - len(parts))]
        writer.writerow(texts)
    return text.getvalue()


def sheet_latex(sheet: ReportTable) -> str:
    """Return the sheet for a paper (booktabs)."""
    return latex_tabular(sheet.heading, sheet.head, sheet.rows)


def latex_tabular(comment: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a booktabs table of texts."""
    lines = [
        f"% {comment}; needs booktabs",
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        "\\toprule",
        " & ".join(map(_latex, head)) + r" \\",
        "\\midrule",
        *(" & ".join(_latex(_one_line(text)) for text in row) + r" \\" for row in rows),
    ]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("|", "/")


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
    return "".join(_LATEX.get(sign, sign) for sign in text)
