"""The live view of a study: lines for a width and a height, computed from what is known.

Nothing is cut: what does not fit into a line continues in the next one, broken between words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.text import Text

from diffrec.terminal import printable, wrap_words
from tune_runner.monitoring.durations import format_duration

_LABEL = 10
"""Cells of the labels at the beginning of a line, as in the messages of the command."""

_NARROW = 80
"""Cells of a terminal below which the columns stand closer."""

_MIN_NAME, _MIN_BAR = 18, 10
"""Cells of the column of names and of the bar, below which another form is used."""

_INDENT = 5
"""Cells of a trial's number: the further lines of its name begin below its values."""

_NO_VALUE = "-"


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """One row of the view."""

    name: str
    seconds: float
    """Since its start by this command."""

    epoch: int = 0
    max_epochs: int | None = None
    """None for a closed form, which has no epochs."""

    value: float | None = None
    """Newest value of the objective; None: not validated yet."""

    best: float | None = None


@dataclass(frozen=True, slots=True)
class StudyView:
    """Everything that the view shows of a study."""

    objective: str
    finished: int
    total: int
    counts: str
    elapsed_seconds: float
    time_left: str
    """Estimate as a phrase."""

    best: str
    """Best value with its cell, or that there is none yet."""

    running: Sequence[RunningTrial] = ()
    notes: Sequence[tuple[str, str]] = ()
    """(label, text) of what is waited for."""


def view_lines(view: StudyView, console: Console, width: int, height: int) -> list[Text]:
    """Return the lines of the view: each at most `width` cells, at most `height` of them."""
    lines = [
        *_position(view, console, width),
        *_labelled("best", view.best, console, width),
        *_labelled("trials", view.counts, console, width),
    ]
    for label, text in view.notes:
        lines += _labelled(label, text, console, width, style="yellow")
    if view.running:
        lines += _running(view, console, width, height - len(lines))
    return lines[: max(1, height)]


def wait_lines(label: str, text: str, seconds: float, console: Console, width: int) -> list[Text]:
    """Return the lines that say what is waited for, and for how long already."""
    return _labelled(label, f"{text}, {format_duration(seconds)}", console, width)


def _position(view: StudyView, console: Console, width: int) -> list[Text]:
    """Return a bar between the number of finished trials and the times."""
    done = f"{view.finished}/{view.total} "
    times = f" {format_duration(view.elapsed_seconds)}, {view.time_left}"
    room = width - cell_len(done) - cell_len(times)
    if room < _MIN_BAR:
        text = f"{done}trials finished;{times}"
        return [Text(line) for line in wrap_words(text, width, chop=True)]
    bar = ProgressBar(view.total, view.finished, width=room)
    options = console.options.update(width=room)
    drawn = Text.assemble(*((part.text, part.style or "") for part in console.render(bar, options)))
    drawn.rstrip()
    drawn.pad_right(room - drawn.cell_len)
    return [Text.assemble((done, "bold"), drawn, times)]


def _labelled(label: str, text: str, console: Console, width: int, style: str = "") -> list[Text]:
    """Return a label and the text beside it, wrapped."""
    text = printable(text, console.encoding)
    indent = _LABEL if width >= 3 * _LABEL else 0
    lines = wrap_words(text, width - indent, chop=True)
    if not indent:
        return [Text(line, style) for line in lines]
    heads = [f"{label:<{_LABEL}}", *[" " * _LABEL] * (len(lines) - 1)]
    return [Text(head + line, style) for head, line in zip(heads, lines, strict=True)]


def _running(view: StudyView, console: Console, width: int, height: int) -> list[Text]:
    """Return a table of the running trials below an empty line; as many as there is room for."""
    head = ("epoch", view.objective.rpartition("/")[2], "best", "time")
    rows = [(printable(t.name, console.encoding), _cells(t)) for t in view.running]
    columns = zip(head, *(cells for _, cells in rows), strict=True)
    widths = [max(map(cell_len, column)) for column in columns]
    gap = 2 if width >= _NARROW else 1
    widths = [gap + cells for cells in widths]
    room = width - sum(widths)
    longest = max(cell_len(name) for name, _ in rows)
    if room >= min(longest, _MIN_NAME):
        name_width = min(longest, room)
        lines = [Text(""), Text(_row("trial", head, name_width, widths), "bold")]
        blocks = [_table_row(name, cells, name_width, widths) for name, cells in rows]
    else:
        lines = [Text("")]
        blocks = [_text_row(name, cells, head, width) for name, cells in rows]
    return [*lines, *_fitting(blocks, width, height - len(lines))]


def _fitting(blocks: Sequence[Sequence[str]], width: int, height: int) -> Iterator[Text]:
    """Yield the blocks that the height has room for, and how many it has not."""
    used = 0
    for position, block in enumerate(blocks):
        more = position + 1 < len(blocks)
        if used + len(block) + more > height:
            if height - used > 0:
                yield Text(f"and {len(blocks) - position} more run"[:width], "dim")
            return
        used += len(block)
        yield from map(Text, block)


def _cells(trial: RunningTrial) -> tuple[str, ...]:
    epoch = _NO_VALUE if trial.max_epochs is None else f"{trial.epoch}/{trial.max_epochs}"
    return (epoch, _number(trial.value), _number(trial.best), format_duration(trial.seconds))


def _number(value: float | None) -> str:
    return _NO_VALUE if value is None else f"{value:.4f}"


def _row(name: str, cells: Sequence[str], name_width: int, widths: Sequence[int]) -> str:
    pad = " " * (name_width - cell_len(name))
    values = zip(cells, widths, strict=True)
    return name + pad + "".join(f"{cell:>{width}}" for cell, width in values)


def _table_row(
    name: str, cells: Sequence[str], name_width: int, widths: Sequence[int]
) -> list[str]:
    first, *further = _indented(name, name_width)
    return [_row(first, cells, name_width, widths), *further]


def _text_row(name: str, cells: Sequence[str], head: Sequence[str], width: int) -> list[str]:
    values = ", ".join(f"{title} {cell}" for title, cell in zip(head, cells, strict=True))
    return _indented(f"{name}: {values}", width)


def _indented(text: str, width: int) -> list[str]:
    """Return the lines of a text, those after the first below the values of a trial's name."""
    first, *rest = wrap_words(text, width, chop=True)
    indent = _INDENT if width > 2 * _INDENT else 0
    further = wrap_words(text[len(first) :].strip(), width - indent, chop=True) if rest else []
    return [first, *(" " * indent + line for line in further)]
