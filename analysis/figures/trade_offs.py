"""Figures of trade-offs: accuracy against coverage, and the front of several objectives."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    Colouring,
    interval_bars,
    legend_below,
    single,
    write,
)
from analysis.results import Results
from analysis.study.metrics import METRIC, title
from analysis.study.model import Cell, cell_name
from diffrec.evaluation.paired import estimates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COVERAGE = "test/coverage@20"

_NAMED = 12
"""Most points that are named."""

_APART = (0.35, 0.06)
"""Distance of a point to any other, as shares of the axes, from which on it is named."""


def accuracy_and_coverage(results: Results) -> "Figure | None":
    """Draw each cell's accuracy and coverage on test, with intervals over seeds."""
    study = results.study
    cells = [
        cell
        for cell in study.cells
        if not math.isnan(cell.mean(COVERAGE)) and not math.isnan(cell.mean(METRIC))
    ]
    if len(cells) < 2:
        return None
    colouring = Colouring(study)
    figure, axes = single(
        "Does accuracy cost coverage of the catalogue?",
        f"{title(METRIC)} on test",
        f"{title(COVERAGE)} on test (share of the items)",
    )
    for cell in cells:
        x, y = (estimates([list(cell.by_seed(m).values())])[0] for m in (METRIC, COVERAGE))
        colour, mark = colouring.colour(cell), colouring.mark(cell)
        axes.errorbar(
            [x.mean],
            [y.mean],
            xerr=interval_bars([x.low], [x.mean], [x.high]),
            yerr=interval_bars([y.low], [y.mean], [y.high]),
            fmt=mark,
            color=colour,
            markersize=5,
            elinewidth=0.8,
        )
        if cell.is_control:
            axes.plot([x.mean], [y.mean], "o", mfc="none", mec=INK, markersize=11)
    if len(cells) <= _NAMED:
        _name_points(axes, [cell_name(study, cell) for cell in cells], cells)
    colouring.name_groups(axes, {colouring.group(cell) for cell in cells}, marks=True)
    legend_below(figure)
    return figure


def pareto_front(results: Results) -> "Figure | None":
    """Draw all points with a result over two metrics that the study judges by, and its answer."""
    study, front = results.study, results.front
    if front is None or len(front.metrics) < 2:
        return None
    first, second, *others = front.metrics
    figure, axes = single(
        "What does one objective cost in the other?",
        f"{title(first)} (validation)",
        f"{title(second)} (validation)",
    )
    x, y = (
        [cell.mean(f"best/{metric}") for cell in study.judged_cells] for metric in (first, second)
    )
    axes.plot(x, y, "o", color=GREY, markersize=4, label="a point with a result")
    points = sorted(front.points, key=lambda point: point.values[0].mean)
    x_bars, y_bars = (
        interval_bars(
            [point.values[i].low for point in points],
            [point.values[i].mean for point in points],
            [point.values[i].high for point in points],
        )
        for i in (0, 1)
    )
    axes.errorbar(
        [point.values[0].mean for point in points],
        [point.values[1].mean for point in points],
        xerr=x_bars,
        yerr=y_bars,
        fmt="o" if others or len(points) == 1 else "o-",
        color=COLOURS[0],
        markersize=6,
        elinewidth=0.8,
        label="the front" if len(study.goals.objectives) > 1 else "the best that meets the bound",
    )
    _draw_bound(axes, results)
    legend_below(figure)
    return figure


def _name_points(axes: "Axes", names: Sequence[str], cells: Sequence[Cell]) -> None:
    """Write names beside the points that no other one is near to, towards the middle."""
    points = [(cell.mean(METRIC), cell.mean(COVERAGE)) for cell in cells]
    middle = (min(x for x, _ in points) + max(x for x, _ in points)) / 2
    for name, (x, y), is_alone in zip(names, points, _apart(points), strict=True):
        if is_alone:
            side, text = ("right", f"{name}  ") if x > middle else ("left", f"  {name}")
            write(axes, x, y, text, ha=side)


def _apart(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return which points are far enough from all others for a name beside them."""
    spans = [max(axis) - min(axis) or 1.0 for axis in zip(*points, strict=True)]
    scaled = [(x / spans[0], y / spans[1]) for x, y in points]
    return [
        all(
            abs(x - other[0]) > _APART[0] or abs(y - other[1]) > _APART[1]
            for j, other in enumerate(scaled)
            if j != i
        )
        for i, (x, y) in enumerate(scaled)
    ]


def _draw_bound(axes: "Axes", results: Results) -> None:
    """Draw the bound of the constraint, where its metric is an axis."""
    study, front = results.study, results.front
    constraint = study.goals.constraint
    if constraint is None or front is None or constraint.metric.name not in front.metrics[:2]:
        return
    values = [cell.mean(f"best/{constraint.metric.name}") for cell in study.judged_cells]
    best = constraint.best(values)
    sign = -1 if constraint.metric.direction == "maximize" else 1
    bound = best + sign * constraint.share * abs(best)
    draw = axes.axvline if constraint.metric.name == front.metrics[0] else axes.axhline
    draw(bound, color=COLOURS[1], lw=1.0, ls="--", label="bound")
