"""Figures of learned weights: against age, and their movement in training."""

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.diagnostics.mphate import embed
from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    legend_below,
    name_panel,
    panels,
    some_of,
    write,
)
from analysis.results import Results
from analysis.study.model import Study, Trial
from analysis.study.weight_trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 4
"""Most panels of a figure."""

_MOST_NAMED = 12
"""Most lines of a panel that have their number beside them."""

_WIDTH, _HEIGHT = 0.16, 0.07
"""Size of a number beside its line, as shares of the span of the lines' ends."""

_HALF_LIFE = 5.0
_LINEAR_ITEMS, _LINEAR_LEAST = 50, 0.1
"""Length of the history that the linear curve is drawn for, and its smallest weight."""


def weight_by_age(results: Results) -> "Figure | None":
    """Draw the learned weight against an interaction's age, early to late, and the static ones."""
    study = results.study
    trajectories = [(name, w) for name, w in _learned(study) if w.is_by_age]
    shown = trajectories[:_MOST]
    if not shown:
        return None
    shown_note = some_of(len(shown), len(trajectories), "variants")
    question = f"How much does an old interaction count, as learned{shown_note}?"
    figure, axes = panels(question, len(shown), height=3.0)
    ages = np.unique(np.geomspace(1, max(shown[0][1].places[-1], 2) + 1, 60)) - 1
    for panel, (name, trajectory) in zip(axes, shown, strict=True):
        curves = trajectory.values.mean(axis=1)  # over diffusion steps, where each has a row
        curves = curves / np.maximum(curves[:, :1], 1e-12)
        for i in np.unique(np.linspace(0, len(curves) - 1, 8).round().astype(int)):
            late = i / max(len(curves) - 1, 1)
            ends = i in (0, len(curves) - 1)
            panel.plot(
                np.array(trajectory.places) + 1,
                curves[i],
                color=COLOURS[0],
                alpha=0.25 + 0.75 * late,
                lw=1 + late,
                label=f"learned, at the {'end' if i else 'start'}" if ends else None,
            )
        half_life_label = f"exponential, half-life {_HALF_LIFE:g} items"
        panel.plot(
            ages + 1,
            0.5 ** (ages / _HALF_LIFE),
            "--",
            color=COLOURS[1],
            lw=1,
            label=half_life_label,
        )
        linear = 1 - (1 - _LINEAR_LEAST) * np.minimum(ages / (_LINEAR_ITEMS - 1), 1)
        label = f"linear, of {_LINEAR_ITEMS} items"
        panel.plot(ages + 1, linear, ":", color=COLOURS[2], lw=1.4, label=label)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set_xlim(1, min(max(trajectory.places) + 1, 1024))
        panel.set_ylim(0, None)
        panel.set_xlabel("age + 1 (items, log scale)", color=INK)
        name_panel(panel, name)
    for panel in axes[::2]:
        panel.set_ylabel("weight, newest = 1", color=INK)
    legend_below(figure)
    return figure


def mphate_panels(results: Results) -> "Figure | None":
    """Draw how the rows of W moved together over training, a panel for each variant."""
    study = results.study
    shown = [(n, w) for n, w in _learned(study) if len(w.epochs) > 4 and w.units[0].shape[1] > 2]
    if not shown:
        return None
    shown_note = some_of(min(len(shown), _MOST), len(shown), "variants")
    shown = shown[:_MOST]
    question = f"How did the learned weights move in training{shown_note}?"
    figure, axes = panels(question, len(shown), height=3.2)
    for panel, (name, trajectory) in zip(axes, shown, strict=True):
        values, unit, numbers = trajectory.units
        points, slices = embed(values)
        epochs = np.array(trajectory.epochs)[slices]
        for i in range(points.shape[1]):
            panel.plot(*points[:, i].T, color=GREY, lw=0.5, alpha=0.5, zorder=1)
        drawn = panel.scatter(
            *points.reshape(-1, 2).T,
            c=np.repeat(epochs, points.shape[1]),
            cmap=_early_to_late(),
            s=9,
            zorder=2,
        )
        for i in _apart(points[-1]):
            x, y = points[-1, i]
            write(panel, x, y, f" {numbers[i]:g}")
        bar = figure.colorbar(drawn, ax=panel)
        bar.set_label("training epoch", color=INK)
        bar.ax.tick_params(colors=INK)
        panel.set_xlabel("M-PHATE 1 (no unit)", color=INK)
        panel.set_ylabel("M-PHATE 2 (no unit)", color=INK)
        panel.set_xticks([])
        panel.set_yticks([])
        name_panel(panel, f"{name}: a line is a {unit}" if len(shown) == 1 else name)
    return figure


def _learned(study: Study) -> list[tuple[str, Trajectory]]:
    """Return one trajectory for each way of weighting and variant: that of its best trial."""
    best: dict[str, Trial] = {}

    def value(trial: Trial) -> float:
        return study.sort_key(trial.result(study.best_objective))

    for trial in study.trials:
        if trial.weights is None or value(trial) != value(trial):
            continue
        name = trial.variant
        if name not in best or value(trial) < value(best[name]):
            best[name] = trial
    return [(name, trial.weights) for name, trial in best.items() if trial.weights is not None]


def _apart(ends: np.ndarray) -> list[int]:
    """Return the units to name: the first, the last, and those that lie clear of them."""
    span = np.ptp(ends, axis=0)
    positions = ends / np.where(span > 0, span, 1)
    evenly_spaced = (
        np.linspace(0, len(ends) - 1, min(len(ends), _MOST_NAMED)).round().astype(int).tolist()
    )
    order = [evenly_spaced[0], evenly_spaced[-1], *evenly_spaced[1:-1]]
    named: list[int] = []
    for i in order:
        gaps = np.abs(positions[named] - positions[i])
        if not named or ((gaps[:, 0] > _WIDTH) | (gaps[:, 1] > _HEIGHT)).all():
            named.append(i)
    return named


def _early_to_late() -> Any:
    """Return a colour map from blue to orange, readable for every eye on light and dark."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("time", [COLOURS[5], "#9a9a9a", COLOURS[1]])
