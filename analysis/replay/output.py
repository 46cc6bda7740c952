"""Table, figure and JSON of a comparison by replay."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analysis.figures import style
from analysis.replay.comparison import ReplayedStrategy, ReplaySettings
from analysis.replay.landscape import RecordedLandscape
from analysis.replay.recording import Recording
from analysis.report_table import ReportTable
from diffrec.evaluation.paired import LEVEL, Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def moments(trials: int) -> tuple[int, ...]:
    """Return the numbers of trials after which regret is shown: a third, two, and all."""
    return tuple(sorted({max(1, trials // 3), max(1, 2 * trials // 3), trials}))


def replay_table(
    strategies: Sequence[ReplayedStrategy], settings: ReplaySettings, note: str
) -> ReportTable:
    """Return a row for each sampler and pruner."""
    at = moments(settings.trials)
    first = strategies[0]
    head = (
        "search",
        *(f"regret after {n}" for n in at),
        "epochs saved",
        f"final regret against {first.name}",
    )
    rows = [
        (
            strategy.name,
            *(_percent(strategy.regret_after(n)) for n in at),
            _percent(strategy.saved) if strategy.pruner != "none" else "–",
            "–" if strategy is first else _percent(strategy.against(first), "+.1f"),
        )
        for strategy in strategies
    ]
    return ReportTable("replay", "Replayed searches", head, tuple(rows), note)


def replay_note(
    recording: Recording, landscape: RecordedLandscape, kind: str, settings: ReplaySettings
) -> str:
    """Return what was simulated, and how far to trust it."""
    model = (
        "the nearest recorded point's curve"
        if kind == "nearest"
        else f"a surrogate (extremely randomized trees), which explains {landscape.explained:.0%} "
        "of the variance of points that it has not seen"
    )
    seeds = f"{settings.num_seeds} seeds" if settings.num_seeds > 1 else "1 seed"
    return (
        f"{recording.name}: {len(recording.trials)} recorded trials of {landscape.num_points} "
        f"points of {recording.space.name} on {recording.dataset}. A point's curve is {model}; "
        f"noise is that of recorded seeds. {settings.repeats} simulated studies of "
        f"{settings.trials} trials each, {seeds} a point, {settings.workers} at a time. Regret: "
        f"relative distance of the leader's expected {recording.space.objective.name} to the best "
        f"one, in percent; mean ± half of the {LEVEL:.0%} interval over the studies; differences "
        "are paired."
    )


def to_json(
    strategies: Sequence[ReplayedStrategy], settings: ReplaySettings, note: str
) -> dict[str, Any]:
    """Return the comparison as JSON values; numbers are shares, not percents."""
    return {
        "note": note,
        "trials": settings.trials,
        "repeats": settings.repeats,
        "seeds": settings.num_seeds,
        "workers": settings.workers,
        "searches": [
            {
                "sampler": one.sampler,
                "pruner": one.pruner,
                "regret": {str(n): _values(one.regret_after(n)) for n in moments(settings.trials)},
                "saved_epochs": _values(one.saved),
                "against_first": None
                if one is strategies[0]
                else _values(one.against(strategies[0])),
                "regret_by_trial": [round(float(x), 6) for x in one.regret.mean(axis=0)],
            }
            for one in strategies
        ],
    }


def replay_figure(strategies: Sequence[ReplayedStrategy]) -> "Figure":
    """Draw the mean regret of each search against the number of trials, with its interval."""
    figure, axes = style.single(
        "Which search finds more with the same trials?", "trials", "regret (%)"
    )
    dashes = ("-", "--", ":")
    for number, one in enumerate(strategies):
        trials = range(1, one.regret.shape[1] + 1)
        told = [one.regret_after(n) for n in trials]
        colour = style.COLOURS[number % len(style.COLOURS)]
        dash = dashes[number // len(style.COLOURS) % len(dashes)]
        axes.plot(trials, [100 * e.mean for e in told], dash, color=colour, label=one.name)
        low, high = [100 * e.low for e in told], [100 * e.high for e in told]
        axes.fill_between(trials, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_ylim(bottom=0)
    style.legend_below(figure)
    return figure


def _percent(estimate: Estimate, form: str = ".1f") -> str:
    half = estimate.high - estimate.mean
    spread = "" if math.isnan(half) else f" ± {100 * half:.1f}"
    return f"{100 * estimate.mean:{form}}{spread}"


def _values(estimate: Estimate) -> dict[str, float | None]:
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    return {key: None if math.isnan(v) else round(v, 6) for key, v in values.items()}
