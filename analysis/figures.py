"""The figures of a report. Each title is a question; colours are Okabe and Ito's, for every eye.

Text and axes are drawn in one ink that the page replaces by its own text colour, so that the same
drawing is readable in light and dark.
"""

import io
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analysis.ablation import against_control
from analysis.cost import trial_seconds
from analysis.study import Cell, Study, Trial, short_path, value_label
from analysis.summary import grid_label, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8a8a8a"
INK = "#010203"
"""Replaced by `currentColor` in the page."""

METRIC = "test/recall@20"
_MARKS = "osD^vP"


def draw_all(study: Study) -> dict[str, "Figure"]:
    """Return every figure that the study has data for, by file name."""
    drawn = {name: draw(study) for name, draw in _FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def to_svg(figure: "Figure", name: str) -> str:
    """Return the figure as SVG, the same text for the same study."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()


def to_png(figure: "Figure") -> bytes:
    """Return the figure as PNG on white, for slides."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=200, facecolor="white")
    return content.getvalue()


def _axes(question: str, x: str, y: str, height: float = 3.5) -> tuple["Figure", "Axes"]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style: dict[Any, Any] = {**dict.fromkeys(ink, INK), "font.size": 9.5, "axes.titlesize": 10.5}
    with mpl.rc_context(style):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(question, loc="left", fontweight="bold")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
        axes.tick_params(colors=INK)
    return figure, axes


def _legend(axes: "Axes") -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)


def _grouping(study: Study) -> Callable[[Cell], str]:
    """Return what a cell is coloured by: the first factor with two to six levels."""
    for path in study.paths:
        levels = {value_label(dict(cell.params).get(path, "–")) for cell in study.cells}
        if 2 <= len(levels) <= len(COLOURS):
            name = short_path(path)
            return lambda cell: f"{name} {value_label(dict(cell.params).get(path, '–'))}"
    return lambda cell: ""


def _learning_curves(study: Study) -> "Figure | None":
    group, used = _grouping(study), dict[str, str]()
    figure, axes = _axes(
        "How did the trials learn, and which were given up?",
        "training epoch",
        f"{title(study.objective)} (validation)",
    )
    for cell in study.cells:
        name = group(cell)
        new = name not in used
        colour = used.setdefault(name, COLOURS[len(used) % len(COLOURS)])
        for trial in cell.trials:
            new = not _curve(study, axes, trial, colour, name if new else "") and new
    if not axes.lines:
        return None
    axes.margins(x=0.02)
    if any(trial.state == "pruned" for trial in study.trials):
        axes.plot([], [], "x--", color=GREY, label="pruned at ×")
    _legend(axes)
    return figure


def _curve(study: Study, axes: "Axes", trial: Trial, colour: str, label: str) -> bool:
    points = sorted(trial.curves.get(study.objective, {}).items())
    if not points:
        return False
    x, y = zip(*points, strict=True)
    pruned = trial.state == "pruned"
    axes.plot(x, y, "--" if pruned else "-", color=colour, lw=1, alpha=0.8, label=label or None)
    if pruned:
        axes.plot(x[-1], y[-1], "x", color=colour, markersize=7)
    return True


def _against_number(study: Study) -> "Figure | None":
    """Draw the metric against a factor that is a number, a line for each level of another."""
    numeric = [p for p in study.paths if _is_number(study, p)]
    if not numeric or study.is_sampled or len(study.paths) > 2:
        return None
    path = next((p for p in numeric if "clusters" in p), numeric[0])
    other = next((p for p in study.paths if p != path), None)
    name = short_path(path).replace("num_", "number of ")
    figure, axes = _axes(f"Does the {name} matter?", name, f"{title(METRIC)} (test)")
    lines: dict[str, list[Cell]] = {}
    for cell in study.cells:
        level = dict(cell.params).get(other, None) if other else ""
        if path in dict(cell.params) and not math.isnan(cell.mean(METRIC)):
            lines.setdefault("" if level is None else value_label(level), []).append(cell)
    for i, (level, cells) in enumerate(lines.items()):
        shift = (i - (len(lines) - 1) / 2) * 0.06 if len(lines) > 1 else 0.0
        x = [dict(cell.params)[path] + (shift if level else 0) for cell in cells]
        spread = [
            0 if math.isnan(cell.deviation(METRIC)) else cell.deviation(METRIC) for cell in cells
        ]
        axes.errorbar(
            x,
            [cell.mean(METRIC) for cell in cells],
            yerr=spread,
            fmt=f"{_MARKS[i % len(_MARKS)]}-",
            color=COLOURS[i % len(COLOURS)],
            capsize=3,
            lw=1.3,
            label=level or None,
        )
    axes.set_xticks(sorted({dict(c.params)[path] for cells in lines.values() for c in cells}))
    _legend(axes)
    return figure


def _is_number(study: Study, path: str) -> bool:
    values = {dict(cell.params)[path] for cell in study.cells if path in dict(cell.params)}
    return 2 <= len(values) <= 12 and all(type(value) in (int, float) for value in values)


def _improvement(study: Study) -> "Figure | None":
    found = [c for c in against_control(study, METRIC) if c.estimate.n]
    if not found or study.control is None:
        return None
    figure, axes = _axes(
        f"What is better than {grid_label(study, study.control)}?",
        f"difference in {title(METRIC)} (test)",
        "",
        height=1.3 + 0.22 * len(found),
    )
    colours = {"better": COLOURS[2], "worse": COLOURS[1]}
    for y, comparison in enumerate(reversed(found)):
        e, colour = comparison.estimate, colours.get(comparison.verdict, GREY)
        if e.is_known:
            axes.plot([e.low, e.high], [y, y], color=colour, lw=1.6)
        axes.plot(e.mean, y, "o", color=colour)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(found)), [c.label for c in reversed(found)])
    for verdict in dict.fromkeys(c.verdict for c in found):
        axes.plot([], [], "o-", color=colours.get(verdict, GREY), label=verdict)
    _legend(axes)
    return figure


def _best_so_far(study: Study) -> "Figure | None":
    key = study.best_objective
    done = [t for t in study.trials if not math.isnan(t.result(key))]
    done.sort(key=lambda trial: trial.end)
    if len(done) < 2:
        return None
    values = [trial.result(key) for trial in done]
    better = max if study.maximize else min
    best = [better(values[: i + 1]) for i in range(len(values))]
    figure, axes = _axes(
        "How soon was the best found?",
        "complete trials, in the order they ended",
        f"{title(study.objective)} (validation)",
    )
    x = range(1, len(values) + 1)
    axes.plot(x, values, "o", color=GREY, markersize=4, label="a trial")
    axes.step(x, best, where="post", color=COLOURS[0], lw=1.6, label="best so far")
    _legend(axes)
    return figure


def _against_cost(study: Study) -> "Figure | None":
    group, used = _grouping(study), dict[str, str]()
    figure, axes = _axes("What does accuracy cost?", "minutes per trial", f"{title(METRIC)} (test)")
    for trial in study.trials:
        value, seconds = (
            trial.result(METRIC),
            trial_seconds(dict(trial.metrics), trial.start, trial.end),
        )
        if math.isnan(value) or math.isnan(seconds):
            continue
        cell = next(cell for cell in study.cells if trial in cell.trials)
        name = group(cell)
        label = None if name in used else name or None
        colour = used.setdefault(name, COLOURS[len(used) % len(COLOURS)])
        mark = _MARKS[list(used).index(name) % len(_MARKS)]
        axes.plot(seconds / 60, value, mark, color=colour, markersize=5, alpha=0.8, label=label)
    _legend(axes)
    return figure if axes.lines else None


_FIGURES: dict[str, Callable[[Study], "Figure | None"]] = {
    "improvement": _improvement,
    "by_number": _against_number,
    "learning_curves": _learning_curves,
    "best_so_far": _best_so_far,
    "cost": _against_cost,
}
CAPTIONS = {
    "improvement": "Mean difference over paired seeds; bars are 95 % Student intervals. Colour is "
    "the verdict after Holm's correction over all cells.",
    "by_number": "Mean over seeds; bars are the sample standard deviation.",
    "learning_curves": "One line per trial. Dashed lines were pruned and are no results.",
    "best_so_far": "Best validation value of each complete trial.",
    "cost": "One mark per complete trial; minutes include validation.",
}
