"""Text forms of the table of cells: for a terminal, for a pipe, Markdown, LaTeX and CSV."""

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.comparisons.literature import ReportedComparison
from analysis.report.summary import SummaryTable
from analysis.report_table import csv_text, latex_tabular, markdown_lines, markdown_text
from analysis.study.labels import NONE
from analysis.study.metrics import title
from analysis.study.model import Cell
from diffrec.terminal import wrap_words

if TYPE_CHECKING:
    from rich.table import Table as RichTable

NARROW = 80
_MIN_LABEL = 8
"""Characters of a cell's name that a line holds at least."""

_BESIDE = 17
"""Characters that `0.1234 ± 0.0012` and its gap take."""


def rich_table(table: SummaryTable, width: int) -> "RichTable":
    """Return the table for a terminal of `width` columns."""
    from rich import box
    from rich.table import Table as RichTable

    head, rows = _texts(table, width)
    texts = [head, *(row.texts for row in rows)]
    widths = [
        max(len(line) for row in texts for line in row[i].split("\n")) + 2
        for i in range(1, len(head))
    ]
    room = max(_MIN_LABEL, width - sum(widths) - 2)
    result = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for i, name in enumerate(head):
        result.add_column(name, justify="right" if i else "left", no_wrap=bool(i), overflow="fold")
    for row in rows:
        style = "bold" if row.is_control else "dim" if row.is_reported else None
        label, *values = row.texts
        result.add_row("\n".join(wrap_words(label, room, chop=True)), *values, style=style)
    return result


def plain_table(table: SummaryTable, width: int = NARROW) -> str:
    """Return the table as aligned text, a row in two lines where it would be too wide."""
    head, rows = _texts(table, width)
    split = [[text.split("\n") for text in row] for row in (head, *(r.texts for r in rows))]
    widths = [max(len(part) for row in split for part in row[i]) for i in range(len(head))]
    free = width - sum(widths)
    gap = "  " if free >= 2 * len(widths[1:]) else " "
    widths[0] = max(8, min(widths[0], widths[0] + free - len(gap) * len(widths[1:])))
    lines: list[str] = []
    for parts in split:
        parts[0] = textwrap.wrap(parts[0][0], widths[0]) or [""]
        for line in range(max(map(len, parts))):
            texts = [part[line] if line < len(part) else "" for part in parts]
            first, *other_columns = zip(texts, widths, strict=True)
            padded = [first[0].ljust(first[1]), *(text.rjust(n) for text, n in other_columns)]
            lines.append(gap.join(padded).rstrip())
        if parts is split[0]:
            lines.append("-" * (sum(widths) + len(gap) * len(widths[1:])))
    return "\n".join(lines)


def notes_text(table: SummaryTable, width: int = NARROW) -> str:
    """Return the sentences under the table."""
    return "\n".join(textwrap.fill(note, width, subsequent_indent="  ") for note in table.notes)


def markdown_table(table: SummaryTable, answer: str = "") -> str:
    """Return the table with its heading and notes as Markdown, the answer first if given."""
    study = table.study
    head = [table.label_name, *map(title, table.metrics), "n", "pruned", "failed", "pruned at"]
    dataset_line = f"Dataset {study.dataset}, {study.tags.get('protocol', 'unknown')} split."
    rows: list[list[str]] = []
    for cell, label, reported in zip(table.rows, table.labels, table.reported, strict=True):
        shown = markdown_text(label)
        epochs = ", ".join(map(str, cell.pruned_epochs())) or NONE
        values = [_value(cell, metric, " ± ") for metric in table.metrics]
        shown = f"**{shown}** (control)" if cell.is_control else shown
        rows.append([shown, *values, *_counts(cell, "0"), epochs])
        for name, *texts in reported_rows(table, reported, " "):
            rows.append([f"*{markdown_text(name)}*", *texts, "", "", "", ""])
    notes = [f"- {markdown_text(note)}" for note in table.notes if not note.startswith("*")]
    parts = [f"# {markdown_text(study.name)}", markdown_text(study.question)]
    parts += [f"**{markdown_text(answer)}**" if answer else "", markdown_text(dataset_line)]
    parts += ["\n".join(markdown_lines(head, rows)), "\n".join(notes)]
    return "\n\n".join(filter(None, parts)) + "\n"


def latex_table(table: SummaryTable) -> str:
    """Return the table for a paper (booktabs)."""
    head = [table.label_name, *map(title, table.metrics), "n"]
    rows = []
    for cell, label, reported in zip(table.rows, table.labels, table.reported, strict=True):
        name = label + (" (control)" if cell.is_control else "")
        values = [_value(cell, metric, " ± ") for metric in table.metrics]
        rows.append([name, *values, str(cell.num_seeds)])
        rows += [[*texts, ""] for texts in reported_rows(table, reported, " ")]
    name = table.study.name
    return latex_tabular(f"{name}: mean and sample standard deviation over n seeds", head, rows)


def csv_table(table: SummaryTable) -> str:
    """Return the table as CSV: a column for each parameter; numbers at full precision.

    If the literature reports a row's variant, there are three columns for each source and metric:
    its value, ours minus it, and whether it lies outside our 95 % interval.
    """
    paths = table.study.paths
    columns = [f"{metric} {statistic}" for metric in table.metrics for statistic in ("mean", "sd")]
    by_column = [{_column(row): row for row in reported} for reported in table.reported]
    reported_columns = list(dict.fromkeys(column for row in by_column for column in row))
    counts = ["complete", "pruned", "failed", "pruned_at"]
    templates = ("{}", "minus {}", "outside by {}")
    reported_head = [
        f"{metric} {template.format(source)}"
        for source, metric in reported_columns
        for template in templates
    ]
    rows = [[*paths, "control", *columns, *counts, *reported_head]]
    for cell, reported in zip(table.rows, by_column, strict=True):
        params = dict(cell.params)
        param_values = [_csv(params[path]) if path in params else "" for path in paths]
        values = [v for m in table.metrics for v in (cell.mean(m), cell.deviation(m))]
        numbers = ["" if math.isnan(value) else repr(value) for value in values]
        epochs = " ".join(map(str, cell.pruned_epochs()))
        trials = [str(cell.count(state)) for state in counts[:-1]]
        reported_values = [
            text for column in reported_columns for text in _csv_reported(reported.get(column))
        ]
        control = str(cell.is_control).lower()
        rows.append([*param_values, control, *numbers, *trials, epochs, *reported_values])
    return csv_text(rows)


def _column(row: ReportedComparison) -> tuple[str, str]:
    return f"{row.reported.source}{row.elsewhere}", f"test/{row.metric}"


def _csv_reported(row: ReportedComparison | None) -> tuple[str, str, str]:
    if row is None:
        return ("", "", "")
    exceeds = "" if row.exceeds is None else str(row.exceeds).lower()
    return (repr(row.theirs), repr(row.difference), exceeds)


def reported_rows(
    table: SummaryTable, reported: Sequence[ReportedComparison], between: str
) -> list[list[str]]:
    """Return a row for each source: its values, and our distance from them."""
    sources: dict[str, dict[str, ReportedComparison]] = {}
    for row in reported:
        source = f"{row.reported.source} {row.reported.model}"
        sources.setdefault(source, {})[f"test/{row.metric}"] = row
    return [
        [
            f"  {next(iter(values.values())).reported.source}",
            *(_reported(values.get(metric), between) for metric in table.metrics),
        ]
        for values in sources.values()
    ]


def _reported(row: ReportedComparison | None, between: str) -> str:
    if row is None:
        return ""
    gap = f"{row.difference:+.4f}".replace("0.", ".", 1)
    return f"{row.theirs:.4f}{between}{gap}{'!' if row.exceeds else ''}"


@dataclass(frozen=True, slots=True)
class _Row:
    texts: list[str]
    is_control: bool = False
    is_reported: bool = False


def _texts(table: SummaryTable, width: int) -> tuple[list[str], list[_Row]]:
    """Return heading and rows; a deviation goes below its mean if there is no room beside it."""
    widest = max(map(len, [*table.labels, table.label_name]), default=0) + 2
    beside = widest + _BESIDE * len(table.metrics) + 20 <= width
    head = [table.label_name, *(title(m).replace(" ", "\n") for m in table.metrics)]
    # A column of nothing is left out: labels need the room.
    extra_states = [s for s in ("pruned", "failed") if any(cell.count(s) for cell in table.rows)]
    states = ["complete", *extra_states]
    rows = []
    for cell, label, reported in zip(table.rows, table.labels, table.reported, strict=True):
        name = label + (" *" if cell.is_control else "")
        values = [_value(cell, metric, " ± " if beside else "\n±") for metric in table.metrics]
        counts = [str(_number(cell, state) or NONE) for state in states]
        rows.append(_Row([name, *values, *counts], is_control=cell.is_control))
        theirs = reported_rows(table, reported, " " if beside else "\n")
        rows += [_Row([*texts, *("" for _ in states)], is_reported=True) for texts in theirs]
    return [*head, "n", *states[1:]], rows


def _value(cell: Cell, metric: str, between: str) -> str:
    mean, deviation = cell.mean(metric), cell.deviation(metric)
    if math.isnan(mean):
        return NONE
    spread = f"{deviation:.4f}".removeprefix("0")  # a column narrower: labels need it
    return f"{mean:.4f}" + ("" if math.isnan(deviation) else f"{between}{spread}")


def _counts(cell: Cell, zero: str) -> list[str]:
    counts = (_number(cell, state) for state in ("complete", "pruned", "failed"))
    return [str(count) if count else zero for count in counts]


def _number(cell: Cell, state: str) -> int:
    """Return how many trials are in a state; of complete ones, on how many seeds."""
    return cell.num_seeds if state == "complete" else cell.count(state)


def _csv(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
