"""Figures of training: curves, pruning, seconds and the use of workers."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from analysis.comparisons.literature import reported_seconds
from analysis.diagnostics.cost import all_trials, trial_seconds
from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    PAPER,
    SMALL,
    Colouring,
    halo,
    legend_below,
    single,
)
from analysis.results import Results
from analysis.study.metrics import METRIC, title
from analysis.study.model import Trial
from tune_runner.schema import EPOCH_SECONDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 5.0
"""Ratio of largest to smallest value from which on an axis of seconds is logarithmic."""

_QUICK = 0.1
"""Seconds of an epoch below which all are shown in milliseconds."""

_DIGIT_SHARE = 0.02
"""Width of a digit as a share of the axis: a trial's number is drawn if its bar holds it."""

_STATES = {
    "complete": COLOURS[0],
    "pruned": COLOURS[4],
    "failed": COLOURS[1],
    "interrupted": GREY,
    "running": GREY,
}


def learning_curves(results: Results) -> "Figure | None":
    """Draw the objective over epochs: each group's median and quartiles, single trials behind."""
    study = results.study
    colouring, groups = Colouring(study), dict[str, list[Trial]]()
    figure, axes = single(
        "How did the trials learn, and which were pruned?",
        "training epoch",
        f"{title(study.objective)} (validation)",
    )
    colours: dict[str, str] = {}
    for cell in study.cells:
        for trial in cell.trials:
            points = sorted(trial.curves.get(study.objective, {}).items())
            if not points:
                continue
            colour = colours.setdefault(colouring.group(cell), colouring.colour(cell))
            groups.setdefault(colouring.group(cell), []).append(trial)
            x, y = zip(*points, strict=True)
            pruned = trial.state == "pruned"
            axes.plot(x, y, "--" if pruned else "-", color=colour, lw=0.6, alpha=0.35)
            if pruned:
                axes.plot(x[-1], y[-1], "x", color=colour, markersize=6)
    if not axes.lines:
        return None
    for group, trials in groups.items():
        _median_and_band(axes, trials, study.objective, colours[group])
    axes.margins(x=0.02)
    colouring.name_groups(axes, groups.keys(), marks=False)
    if any(trial.state == "pruned" for trial in study.trials):
        axes.plot([], [], "x--", color=GREY, label="pruned at ×")
    legend_below(figure)
    return figure


def _median_and_band(axes: "Axes", trials: Sequence[Trial], objective: str, colour: str) -> None:
    """Draw the median of complete trials over the epochs that half of them have reached."""
    curves = [t.curves[objective] for t in trials if t.state == "complete" and t.curves[objective]]
    by_epoch: dict[int, list[float]] = {}
    for curve in curves:
        for epoch, value in curve.items():
            by_epoch.setdefault(epoch, []).append(value)
    epochs = sorted(
        epoch for epoch, values_at in by_epoch.items() if len(values_at) >= len(curves) / 2
    )
    if not epochs:
        return
    low, middle, high = zip(
        *(np.quantile(by_epoch[epoch], [0.25, 0.5, 0.75]) for epoch in epochs), strict=True
    )
    axes.plot(epochs, middle, color=colour, lw=1.8)
    if len(curves) > 2:
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, lw=0)


def early_final(results: Results) -> "Figure | None":
    """Draw how well early validation predicts the final order."""
    ranks = results.ranks
    if not ranks:
        return None
    figure, axes = single(
        "Is pruning safe: do early ranks tell the final?",
        "training epoch",
        "rank correlation; share of trials",
    )
    epochs = [rank.epoch for rank in ranks]
    ahead_shares = [rank.winner_place for rank in ranks]
    rho = [rank.correlation for rank in ranks]
    axes.plot(epochs, rho, "o-", color=COLOURS[0], markersize=3, label="Spearman, early with final")
    axes.plot(
        epochs, ahead_shares, "s--", color=COLOURS[1], markersize=3, label="ahead of the winner"
    )
    axes.axhline(0.5, color=GREY, lw=0.8)
    axes.set_ylim(min(0.0, *(r for r in rho if not math.isnan(r)), 0.0) - 0.03, 1.03)
    legend_below(figure)
    return figure


def pruning_saved(results: Results) -> "Figure | None":
    """Draw the epochs that pruned trials ran and those that they were spared."""
    saved = sorted(results.saved, key=lambda trial_saved: trial_saved.ran)
    if not saved:
        return None
    figure, axes = single(
        "How much compute did pruning save?",
        "training epochs",
        "pruned trials",
        height=min(2.0 + 0.12 * len(saved), 6.0),
    )
    y, ran = range(len(saved)), [trial_saved.ran for trial_saved in saved]
    spared = [trial_saved.full - trial_saved.ran for trial_saved in saved]
    axes.barh(y, ran, color=COLOURS[0], label=f"run ({sum(ran)})")
    axes.barh(y, spared, left=ran, color=COLOURS[5], alpha=0.5, label=f"saved ({sum(spared):.0f})")
    axes.set_yticks([])
    legend_below(figure)
    return figure


def seconds_per_epoch(results: Results) -> "Figure | None":
    """Draw the seconds of a training epoch for each variant, beside the report's."""
    study = results.study
    groups: dict[str, list[float]] = {}
    several = len({cell.variant for cell in study.cells}) > 1
    colouring = Colouring(study)
    for cell in study.cells:
        for trial in cell.trials:
            seconds = trial.curves.get(EPOCH_SECONDS, {}).values()
            if seconds:
                name = cell.variant if several else colouring.group(cell) or cell.variant
                groups.setdefault(name, []).append(fmean(seconds))
    if not groups:
        return None
    quick = max(map(max, groups.values())) < _QUICK
    factor, unit = (1e3, "milliseconds") if quick else (1.0, "seconds")
    figure, axes = single(
        "How long does a training epoch take?",
        f"{unit} per epoch, less validation",
        "variant" if several else "group",
        height=1.8 + 0.32 * len(groups),
    )
    names, shown = list(reversed(groups)), list[float]()
    for y, name in enumerate(names):
        values = [factor * seconds for seconds in groups[name]]
        shown += values
        axes.plot(values, [y] * len(values), "o", color=COLOURS[0], markersize=4, alpha=0.5)
        axes.plot(fmean(values), y, "|", color=COLOURS[1], markersize=14, mew=2)
        reported = reported_seconds().get((name, study.dataset))
        if reported is not None:
            axes.plot(factor * reported, y, "D", color=COLOURS[2], markersize=6)
            shown.append(factor * reported)
    axes.plot([], [], "o", color=COLOURS[0], alpha=0.5, label="a trial's mean")
    axes.plot([], [], "|", color=COLOURS[1], mew=2, markersize=10, label="mean of trials")
    if any((name, study.dataset) in reported_seconds() for name in names):
        axes.plot([], [], "D", color=COLOURS[2], label="reproduction report (its GPU)")
    if max(shown) > _WIDE * min(shown):  # else a log scale would have hardly a tick
        axes.set_xscale("log")
        axes.set_xlabel(f"{unit} per epoch (log scale), less validation", color=INK)
        for ticks in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            ticks(_plain_tick)
        axes.tick_params("x", which="minor", colors=INK)
    else:
        axes.locator_params("x", nbins=5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    legend_below(figure)
    return figure


def _plain_tick(value: float, _: object) -> str:
    """Return a number of a log axis: 1, 2 and 5 times a power of ten are named."""
    lead = round(value / 10 ** math.floor(math.log10(value) + 1e-9), 6)
    return f"{value:g}" if lead in (1, 2, 5) else ""


def against_cost(results: Results) -> "Figure | None":
    """Draw accuracy against the minutes that a trial took."""
    study = results.study
    colouring, drawn = Colouring(study), set[str]()
    accuracy = f"{title(METRIC)} (test)"
    figure, axes = single("What does accuracy cost?", "minutes per trial", accuracy)
    for cell in study.cells:
        for trial in cell.trials:
            value, seconds = trial.result(METRIC), trial_seconds(trial)
            if math.isnan(value) or math.isnan(seconds):
                continue
            group = colouring.group(cell)
            drawn.add(group)
            mark, colour = colouring.mark(cell), colouring.colour(cell)
            axes.plot(seconds / 60, value, mark, color=colour, ms=5, alpha=0.8)
    if not axes.lines:
        return None
    colouring.name_groups(axes, drawn, marks=True)
    legend_below(figure)
    return figure


def timeline(results: Results) -> "Figure | None":
    """Draw when each trial ran, in as many lanes as ran side by side."""
    study = results.study
    timed = [t for t in all_trials(study) if not math.isnan(t.end - t.start)]
    if len(timed) < 2:
        return None
    timed.sort(key=lambda trial: trial.start)
    begin, lanes = timed[0].start, list[float]()
    long = max(trial.end for trial in timed) - begin > 7200
    unit, name = (3600, "hours") if long else (60, "minutes")
    figure, axes = single(
        "Were the workers busy all the time?",
        f"{name} since the first trial began",
        "trials side by side",
        height=min(1.8 + 0.35 * _most_at_once(timed), 6.0),
    )
    span = (max(trial.end for trial in timed) - begin) / unit
    for trial in timed:
        free = (i for i, end in enumerate(lanes) if end <= trial.start)
        lane = next(free, len(lanes))
        lanes[lane : lane + 1] = [trial.end]
        bar_start, width = (trial.start - begin) / unit, (trial.end - trial.start) / unit
        colour = _STATES.get(trial.state, GREY)
        # The edge keeps trials apart that follow each other at once.
        axes.barh(lane, width, left=bar_start, height=0.8, color=colour, edgecolor=PAPER, lw=0.8)
        number = str(trial.number)
        if width > span * _DIGIT_SHARE * (len(number) + 1):
            text_style = {"ha": "center", "va": "center", "fontsize": SMALL, "color": INK}
            axes.text(bar_start + width / 2, lane, number, **text_style, path_effects=[halo(2.0)])
    for state in dict.fromkeys(trial.state for trial in timed):
        axes.barh(0, 0, color=_STATES.get(state, GREY), label=state)
    every = -(-len(lanes) // 12)
    axes.set_yticks(range(0, len(lanes), every), [str(i + 1) for i in range(0, len(lanes), every)])
    legend_below(figure)
    return figure


def _most_at_once(trials: Sequence[Trial]) -> int:
    """Return how many trials ran side by side at most."""
    changes = sorted([(t.start, 1) for t in trials] + [(t.end, -1) for t in trials])
    return int(max(np.cumsum([change for _, change in changes])))
