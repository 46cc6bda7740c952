"""Figures of comparisons: with the control, across metrics and datasets, with the literature."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analysis.comparisons.ablation import paired
from analysis.comparisons.literature import METRICS, SOURCES, ReportedComparison
from analysis.comparisons.patience import PATH
from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    MARKS,
    PAPER,
    Colouring,
    interval_bars,
    legend_below,
    level_colours,
    name_panel,
    panels,
    single,
    some_of,
)
from analysis.results import Results
from analysis.study.labels import hashable, is_number, value_label
from analysis.study.metrics import METRIC, TEST_METRICS, title
from analysis.study.model import Cell, Study, cell_name
from diffrec.evaluation.paired import Estimate, estimates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_BARS = 9
_MOST_LINES = 40
Look = tuple[str, str]
"""Colour and pattern of a bar."""

_HATCHES = ("", "////", "....", "xx", "\\\\", "oo")
"""Patterns of bars: a name beyond the colours has a colour again, with the next pattern."""


def against_the_control(results: Results) -> "Figure | None":
    """Draw every cell's difference to the control with its interval."""
    study = results.study
    comparisons = [c for c in results.control if c.estimate.n]
    if not comparisons or study.control is None:
        return None
    largest = sorted(comparisons, key=lambda c: -abs(c.estimate.mean))[:_MOST_LINES]
    shown = [c for c in comparisons if c in largest]
    shown_note = some_of(len(shown), len(comparisons), "cells, the largest differences")
    figure, axes = single(
        f"What is better than {study.control.label}{shown_note}?",
        f"difference in {title(METRIC)} (test)",
        "cell",
        height=1.6 + 0.22 * len(shown),
    )
    colours = {"better": COLOURS[2], "worse": COLOURS[1]}
    for y, comparison in enumerate(reversed(shown)):
        e, colour = comparison.estimate, colours.get(comparison.verdict, GREY)
        if e.is_known:
            axes.plot([e.low, e.high], [y, y], color=colour, lw=1.6)
        axes.plot(e.mean, y, "o", color=colour)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(shown)), [c.label for c in reversed(shown)])
    for verdict in dict.fromkeys(c.verdict for c in shown):
        axes.plot([], [], "o-", color=colours.get(verdict, GREY), label=verdict)
    legend_below(figure)
    return figure


def improvement(results: Results) -> "Figure | None":
    """Draw the change over the baseline in per cent, per metric, a panel for each study."""
    studies = (s for s in results.studies if s.control is not None and _rivals(s))
    shown = [s for s in studies if s.control is not None and s.control.count("complete")]
    if not shown:
        return None
    figure, axes = panels(
        "How far above the baseline, on each metric?", len(shown), columns=1, height=3.0
    )
    looks: dict[str, Look] = {}
    for panel, study, heading in zip(axes, shown, _headings(shown), strict=True):
        assert study.control is not None
        cells, count, colouring = _rivals(study), _count_rivals(study), Colouring(study)
        if len(cells) < count:
            heading += f", the best {len(cells)} of {count} cells"
        for i, cell in enumerate(cells):
            changes = [_relative(cell, study.control, metric) for metric in TEST_METRICS]
            name = cell_name(study, cell)
            if name not in looks:
                looks[name] = _free_look(looks, colouring.colour(cell) if colouring.path else "")
            _bars(panel, changes, i, len(cells), name, looks[name])
        _per_cent(panel, f"change over {study.control.label} (%)")
        name_panel(panel, heading)
    legend_below(figure)
    return figure


def reproduction(results: Results) -> "Figure | None":
    """Draw our values as per cent of the literature's, a panel for each study and source."""
    by_panel: dict[str, list[ReportedComparison]] = {}
    reported = (results.literature, *(beside.literature for beside in results.others))
    for rows, heading in zip(reported, _headings(results.studies), strict=True):
        for row in rows:
            if row.reported.source in ("paper", "report"):
                key = f"{heading}: {SOURCES[row.reported.source].split(',')[0]}"
                by_panel.setdefault(key, []).append(row)
    if not by_panel:
        return None
    question = "How close do we come to the reported values?"
    figure, axes = panels(question, len(by_panel), columns=1, height=2.6)
    looks: dict[str, Look] = {}
    for panel, (key, rows) in zip(axes, by_panel.items(), strict=True):
        models = list(dict.fromkeys(row.reported.model for row in rows))
        for i, name in enumerate(models):
            of_name = {r.metric: r for r in rows if r.reported.model == name}
            gaps = [_gap(of_name[m]) if m in of_name else _UNKNOWN for m in METRICS]
            look = looks[name] if name in looks else looks.setdefault(name, _free_look(looks))
            _bars(panel, gaps, i, len(models), name, look)
        _per_cent(panel, "ours less theirs (%)")
        name_panel(panel, key)
    legend_below(figure)
    return figure


def by_number(results: Results) -> "Figure | None":
    """Draw the metric against a factor that is a number, a line for each level of another."""
    study = results.study
    path, other = _number_and_other(study)
    if path is None:
        return None
    name = study.name_of(path).replace("num_", "number of ").replace("_", " ")
    figure, axes = single(f"Does the {name} matter?", name, f"{title(METRIC)} (test)")
    lines: dict[str, list[Cell]] = {}
    for cell in study.cells:
        params = dict(cell.params)
        if params.get(path) is not None and not math.isnan(cell.mean(METRIC)):
            level = params.get(other) if other else None
            lines.setdefault("" if level is None else value_label(level), []).append(cell)
    nameless = f"without {study.name_of(other)}" if other and len(lines) > 1 else None
    colours = level_colours(study, other) if other else {None: COLOURS[0]}
    named = {"" if level is None else value_label(level): c for level, c in colours.items()}
    for i, (level, cells) in enumerate(lines.items()):
        shift = (i - (len(lines) - 1) / 2) * 0.06 if level and _is_evenly_spaced(study, path) else 0
        for cell in (cell for cell in cells if cell.is_control):
            x = dict(cell.params)[path] + shift
            axes.plot(x, cell.mean(METRIC), "o", ms=11, mfc="none", mec=INK, label="the control")
        axes.errorbar(
            [dict(cell.params)[path] + shift for cell in cells],
            [cell.mean(METRIC) for cell in cells],
            yerr=[0 if math.isnan(d := cell.deviation(METRIC)) else d for cell in cells],
            fmt=f"{MARKS[i % len(MARKS)]}-",
            color=named[level],
            capsize=3,
            lw=1.3,
            label=level or nameless,
        )
    axes.set_xticks(sorted({dict(c.params)[path] for cells in lines.values() for c in cells}))
    legend_below(figure)
    return figure


def divergence(results: Results) -> "Figure | None":
    """Draw each method's change against the reference method at the same number."""
    study = results.study
    path, other = _number_and_other(study)
    if path is None or other is None:
        return None
    cells = {tuple(hashable(dict(c.params).get(p)) for p in (path, other)): c for c in study.cells}
    control = {p: hashable(v) for p, v in study.control.params} if study.control else {}
    methods = list(dict.fromkeys(method for _, method in cells if method is not None))
    base = control.get(other, methods[0] if methods else None)
    counts = [n for n in dict.fromkeys(n for n, _ in cells) if (n, base) in cells]
    methods = [method for method in methods if method != base]
    if not counts or not methods:
        return None
    name = study.name_of(path).replace("num_", "number of ").replace("_", " ")
    figure, axes = single(
        f"Does the {study.name_of(other)} matter, at a given {name}?",
        name,
        f"change in {title(METRIC)} against {value_label(base)} (%)",
    )
    for i, method in enumerate(methods):
        changes = [
            _relative(cells[n, method], cells[n, base], METRIC)
            if (n, method) in cells
            else _UNKNOWN
            for n in counts
        ]
        look = (level_colours(study, other)[method], "")
        _bars(axes, changes, i, len(methods), value_label(method), look)
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_xticks(range(len(counts)), [value_label(n) for n in counts])
    legend_below(figure)
    return figure


_UNKNOWN = Estimate(0, math.nan, math.nan, math.nan, math.nan)


def _free_look(used: Mapping[str, Look], preferred: str = "") -> Look:
    """Return a colour and pattern that no other name has, of the wanted colour if there is one."""
    colours = [preferred] if preferred else list(COLOURS)
    looks = [(colour, hatch) for hatch in _HATCHES for colour in colours]
    return next((look for look in looks if look not in used.values()), looks[0])


def _rivals(study: Study) -> list[Cell]:
    """Return the cells compared with the control: each variant's best, else the best cells."""
    return _all_rivals(study)[:_MOST_BARS]


def _count_rivals(study: Study) -> int:
    return len(_all_rivals(study))


def _all_rivals(study: Study) -> list[Cell]:
    several = len({cell.variant for cell in study.cells if cell.variant}) > 1  # "": refused points
    cells = study.best_per_variant() if several else study.ranked()
    return [cell for cell in cells if not cell.is_control]


def _headings(shown: Sequence[Study]) -> list[str]:
    """Return each study's dataset, with what tells it apart if another has the same."""
    headings = []
    for study in shown:
        alike = [s for s in shown if s.dataset == study.dataset]
        patiences = [s.cells[0].trials[0].config.get(PATH) if s.cells else None for s in alike]
        if len(alike) == 1:
            headings.append(study.dataset)
        elif None not in patiences and len(set(patiences)) == len(patiences):
            headings.append(f"{study.dataset}, patience {patiences[alike.index(study)]}")
        else:
            headings.append(f"{study.dataset}, {study.name}")
    return headings


def _relative(cell: Cell, base: Cell, metric: str) -> Estimate:
    """Return the mean change in per cent over paired seeds."""
    pairs = paired(cell, base, metric)
    values = [100 * (a / b - 1) for a, b in zip(pairs.ours, pairs.theirs, strict=True) if b]
    return estimates([values])[0]


def _gap(row: ReportedComparison) -> Estimate:
    """Return our interval as a distance from their value in per cent."""
    e, theirs = row.ours, row.theirs
    mean, low, high = (100 * (value / theirs - 1) for value in (e.mean, e.low, e.high))
    return Estimate(e.n, mean, low, high, e.p)


def _bars(
    axes: "Axes", changes: Sequence[Estimate], i: int, count: int, label: str, look: Look
) -> None:
    """Draw the i-th of `count` bars at every place."""
    width = 0.8 / count
    means = [e.mean for e in changes]
    axes.bar(
        [x + (i - (count - 1) / 2) * width for x in range(len(changes))],
        means,
        width * 0.9,
        yerr=interval_bars([e.low for e in changes], means, [e.high for e in changes]),
        error_kw={"lw": 1, "ecolor": INK},
        capsize=2,
        color=look[0],
        edgecolor=PAPER,
        lw=0,
        hatch=look[1],
        label=label,
    )


def _per_cent(axes: "Axes", name: str) -> None:
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_ylabel(name, color=INK)
    axes.set_xlabel("test metric", color=INK)
    axes.set_xticks(range(len(TEST_METRICS)), [title(metric) for metric in TEST_METRICS])


def _number_and_other(study: Study) -> tuple[str | None, str | None]:
    """Return the factor that is a number and the one beside it, of a grid of at most two."""
    numeric = [path for path in study.paths if _is_numeric_factor(study, path)]
    if not numeric or study.is_sampled or len(study.paths) > 2:
        return None, None
    path = next((p for p in numeric if "clusters" in p), numeric[0])
    return path, next((p for p in study.paths if p != path), None)


def _is_numeric_factor(study: Study, path: str) -> bool:
    return 2 <= len(_values(study, path)) <= 12 and all(map(is_number, _values(study, path)))


def _is_evenly_spaced(study: Study, path: str) -> bool:
    values = sorted(_values(study, path))
    return all(b - a == 1 for a, b in pairwise(values))


def _values(study: Study, path: str) -> set[Any]:
    return {hashable(dict(cell.params).get(path)) for cell in study.cells} - {None}
