"""A study's table as text: for a terminal, for a pipe, as Markdown and as CSV."""

import csv
import io
import json
import math
import textwrap
from typing import TYPE_CHECKING

from analysis.study import Cell
from analysis.summary import Table, title

if TYPE_CHECKING:
    from rich.table import Table as RichTable

NARROW = 80
_NONE = "–"
_BESIDE = 17
"""Columns that `0.1234 ± 0.0012` and its gap take."""


def rich_table(table: Table, width: int) -> "RichTable":
    """Return the table for a terminal of `width` columns."""
    from rich import box
    from rich.table import Table as RichTable

    head, rows = _texts(table, width)
    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for i, name in enumerate(head):
        made.add_column(name, justify="right" if i else "left", no_wrap=bool(i), overflow="fold")
    for cell, texts in zip(table.rows, rows, strict=True):
        made.add_row(*texts, style="bold" if cell.is_control else None)
    return made


def plain_table(table: Table, width: int = NARROW) -> str:
    """Return the table as aligned text, a row in two lines where it would be too wide."""
    head, rows = _texts(table, width)
    split = [[text.split("\n") for text in row] for row in (head, *rows)]
    widths = [max(len(part) for row in split for part in row[i]) for i in range(len(head))]
    widths[0] = max(8, min(widths[0], width - sum(widths[1:]) - 2 * len(widths[1:])))
    lines: list[str] = []
    for parts in split:
        parts[0] = textwrap.wrap(parts[0][0], widths[0]) or [""]
        for line in range(max(map(len, parts))):
            texts = [part[line] if line < len(part) else "" for part in parts]
            first, *others = zip(texts, widths, strict=True)
            padded = [first[0].ljust(first[1]), *(text.rjust(room) for text, room in others)]
            lines.append("  ".join(padded).rstrip())
        if parts is split[0]:
            lines.append("-" * (sum(widths) + 2 * len(widths[1:])))
    return "\n".join(lines)


def notes_text(table: Table, width: int = NARROW) -> str:
    """Return the sentences under the table."""
    return "\n".join(textwrap.fill(note, width, subsequent_indent="  ") for note in table.notes)


def markdown_table(table: Table) -> str:
    """Return the table with its heading and notes as Markdown."""
    study = table.study
    names = [table.label_name, *map(title, table.metrics), "n", "pruned", "failed", "pruned at"]
    lines = [
        f"# {study.name}",
        f"\n{study.question}" if study.question else "",
        f"Dataset {study.dataset}, {study.tags.get('protocol', 'unknown')} split.\n",
        "| " + " | ".join(names) + " |",
        "|---|" + "---:|" * (len(names) - 1),
    ]
    for cell, label in zip(table.rows, table.labels, strict=True):
        shown = f"**{label}** (control)" if cell.is_control else label
        epochs = ", ".join(map(str, cell.pruned_epochs())) or _NONE
        values = [_value(cell, metric, " ± ") for metric in table.metrics]
        lines.append("| " + " | ".join([shown, *values, *_counts(cell, "0"), epochs]) + " |")
    notes = [f"- {note.strip()}" for note in table.notes if not note.startswith("*")]
    return "\n".join([*lines, "", *notes]) + "\n"


def latex_table(table: Table) -> str:
    """Return the table for a paper (booktabs)."""
    names = [table.label_name, *map(title, table.metrics), "n"]
    lines = [
        f"% {table.study.name}: mean and sample standard deviation over n seeds; needs booktabs",
        f"\\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
        "\\toprule",
        " & ".join(map(_latex, names)) + r" \\",
        "\\midrule",
    ]
    for cell, label in zip(table.rows, table.labels, strict=True):
        name = _latex(label) + (" (control)" if cell.is_control else "")
        values = [_value(cell, metric, " ± ").replace("±", r"$\pm$") for metric in table.metrics]
        lines.append(" & ".join([name, *values, str(cell.count("complete"))]) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _latex(text: str) -> str:
    for sign in "_%&#$":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("·", r" $\cdot$ ").replace("–", "--")


def csv_table(table: Table) -> str:
    """Return the table as CSV: a column for each parameter; numbers at full precision."""
    paths, text = table.study.paths, io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{metric} {what}" for metric in table.metrics for what in ("mean", "sd")]
    writer.writerow([*paths, "control", *columns, "complete", "pruned", "failed", "pruned_at"])
    for cell in table.rows:
        params = dict(cell.params)
        given = [_csv(params[path]) if path in params else "" for path in paths]
        values = [v for m in table.metrics for v in (cell.mean(m), cell.deviation(m))]
        numbers = ["" if math.isnan(value) else repr(value) for value in values]
        epochs = " ".join(map(str, cell.pruned_epochs()))
        control = str(cell.is_control).lower()
        writer.writerow([*given, control, *numbers, *_counts(cell, "0"), epochs])
    return text.getvalue()


def _texts(table: Table, width: int) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows; a deviation goes under its mean where there is no room beside."""
    widest = max(map(len, [*table.labels, table.label_name]), default=0) + 2
    beside = widest + _BESIDE * len(table.metrics) + 20 <= width
    head = [table.label_name, *(title(m).replace(" ", "\n") for m in table.metrics)]
    rows = [
        [
            label + (" *" if cell.is_control else ""),
            *(_value(cell, metric, " ± " if beside else "\n±") for metric in table.metrics),
            *_counts(cell, _NONE),
        ]
        for cell, label in zip(table.rows, table.labels, strict=True)
    ]
    return [*head, "n", "pruned", "failed"], rows


def _value(cell: Cell, metric: str, between: str) -> str:
    mean, deviation = cell.mean(metric), cell.deviation(metric)
    if math.isnan(mean):
        return _NONE
    spread = f"{deviation:.4f}".removeprefix("0")  # a column narrower: labels need it
    return f"{mean:.4f}" + ("" if math.isnan(deviation) else f"{between}{spread}")


def _counts(cell: Cell, zero: str) -> list[str]:
    counts = (cell.count(state) for state in ("complete", "pruned", "failed"))
    return [str(count) if count else zero for count in counts]


def _csv(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
