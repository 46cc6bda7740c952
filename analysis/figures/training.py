"""Figures of training: curves, pruning, seconds and the use of workers."""

import math
from statistics import fmean
from typing import TYPE_CHECKING

from analysis.comparisons.literature import reported_seconds
from analysis.diagnostics.cost import all_trials, trial_seconds
from analysis.figures.style import COLOURS, GREY, INK, Colouring, legend, legend_below, single
from analysis.results import Results
from analysis.study.metrics import METRIC, title
from tune_runner.schema import EPOCH_SECONDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE = 5.0
"""Ratio of largest to smallest value from which on an axis of seconds is logarithmic."""

_QUICK = 0.1
"""Seconds of an epoch below which all are shown in milliseconds."""

_STATES = {
    "complete": COLOURS[0],
    "pruned": COLOURS[4],
    "failed": COLOURS[1],
    "interrupted": GREY,
    "running": GREY,
}


def learning_curves(results: Results) -> "Figure | None":
    """Draw the objective of every trial over its epochs."""
    study = results.study
    colouring, drawn = Colouring(study), set[str]()
    figure, axes = single(
        "How did the trials learn, and which were given up?",
        "training epoch",
        f"{title(study.objective)} (validation)",
    )
    for cell in study.cells:
        for trial in cell.trials:
            points = sorted(trial.curves.get(study.objective, {}).items())
            if not points:
                continue
            group, pruned = colouring.group(cell), trial.state == "pruned"
            x, y = zip(*points, strict=True)
            drawn.add(group)
            style, colour = "--" if pruned else "-", colouring.colour(cell)
            axes.plot(x, y, style, color=colour, lw=1, alpha=0.8)
            if pruned:
                axes.plot(x[-1], y[-1], "x", color=colour, markersize=7)
    if not axes.lines:
        return None
    axes.margins(x=0.02)
    colouring.name_groups(axes, drawn, marks=False)
    if any(trial.state == "pruned" for trial in study.trials):
        axes.plot([], [], "x--", color=GREY, label="pruned at ×")
    legend(axes)
    return figure


def early_final(results: Results) -> "Figure | None":
    """Draw how well early validation predicts the final order."""
    found = results.ranks
    if not found:
        return None
    figure, axes = single(
        "Is pruning safe: do early ranks tell the final?",
        "training epoch",
        "rank correlation; share of trials",
    )
    epochs = [early.epoch for early in found]
    ahead = [early.winner_place for early in found]
    rho = [early.correlation for early in found]
    axes.plot(epochs, rho, "o-", color=COLOURS[0], markersize=3, label="Spearman, early with final")
    axes.plot(epochs, ahead, "s--", color=COLOURS[1], markersize=3, label="ahead of the winner")
    axes.axhline(0.5, color=GREY, lw=0.8)
    axes.set_ylim(min(0.0, *(r for r in rho if not math.isnan(r)), 0.0) - 0.03, 1.03)
    legend(axes)
    return figure


def pruning_saved(results: Results) -> "Figure | None":
    """Draw the epochs that pruned trials ran and those that they were spared."""
    found = sorted(results.saved, key=lambda one: one.ran)
    if not found:
        return None
    figure, axes = single(
        "How much compute did pruning save?",
        "training epochs",
        "pruned trials",
        height=min(2.0 + 0.12 * len(found), 6.0),
    )
    y, ran = range(len(found)), [one.ran for one in found]
    spared = [one.full - one.ran for one in found]
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
    legend(axes)
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
    )
    for trial in timed:
        free = (i for i, end in enumerate(lanes) if end <= trial.start)
        lane = next(free, len(lanes))
        lanes[lane : lane + 1] = [trial.end]
        axes.barh(
            lane,
            (trial.end - trial.start) / unit,
            left=(trial.start - begin) / unit,
            height=0.8,
            color=_STATES.get(trial.state, GREY),
            edgecolor="none",
        )
    for state in dict.fromkeys(trial.state for trial in timed):
        axes.barh(0, 0, color=_STATES.get(state, GREY), label=state)
    every = -(-len(lanes) // 12)
    axes.set_yticks(range(0, len(lanes), every), [str(i + 1) for i in range(0, len(lanes), every)])
    legend_below(figure)
    return figure
