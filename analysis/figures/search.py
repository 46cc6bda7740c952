"""Figures of a search: progress, values tried, importance of parameters."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.style import (
    COLOURS,
    GREY,
    INK,
    SMALL,
    legend_below,
    panels,
    single,
    some_of,
    write,
)
from analysis.results import Results
from analysis.study.labels import is_number, value_label
from analysis.study.metrics import title
from analysis.study.model import Study, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_AXES = 10

_APART = 0.08
"""Smallest distance of two tick labels, as a share of the axis."""

_LETTERS = 42
"""Letters that fit side by side along an axis."""

_PANEL_LETTERS = 16
"""Letters that fit side by side under a panel of two."""

_UPRIGHT = 6
"""Most letters of a word that stands upright under a panel; longer ones are slanted."""


def best_so_far(results: Results) -> "Figure | None":
    """Draw the best value of the trials that have ended, in their order."""
    study = results.study
    key = study.best_objective
    complete = [t for t in study.trials if not math.isnan(t.result(key))]
    complete.sort(key=lambda trial: trial.end)
    if len(complete) < 2:
        return None
    values = [trial.result(key) for trial in complete]
    best = [min(values[: i + 1], key=study.sort_key) for i in range(len(values))]
    figure, axes = single(
        "How soon was the best found?",
        "complete trials, in the order they ended",
        f"{title(study.objective)} (validation)",
    )
    x = range(1, len(values) + 1)
    axes.plot(x, values, "o", color=GREY, markersize=4, label="a trial")
    axes.step(x, best, where="post", color=COLOURS[0], lw=1.6, label="best so far")
    legend_below(figure)
    return figure


def parallel(results: Results) -> "Figure | None":
    """Draw every trial as a line over its parameters, the best in colour.

    The axes are horizontal, one above the other, which leaves room for the names of their values.
    """
    study = results.study
    paths = _varied(study)[:_MOST_AXES]
    complete = [t for t in study.trials if not math.isnan(t.result(study.best_objective))]
    if len(paths) < 2 or len(complete) < 2:
        return None
    question = "Which values do the best trials have in common?"
    figure, axes = single(question, "", "parameter", height=1.5 + 0.5 * len(paths))
    parameter_axes = [_Axis(study, path) for path in paths]
    values = [trial.result(study.best_objective) for trial in complete]
    low, high = min(values), max(values)
    order = sorted(range(len(complete)), key=lambda i: -study.sort_key(values[i]))
    best = set(order[-max(1, len(complete) // 10) :])
    for trial in study.trials:
        if trial.state == "pruned":
            _thread(axes, parameter_axes, trial, ls=":", color=GREY, lw=0.7, alpha=0.7)
    for i in order:
        end = (values[i] - low) / (high - low) if high > low else 0.5
        colour, width, alpha = (COLOURS[0], 1.6, 1.0) if i in best else (GREY, 0.7, 0.5)
        _thread(axes, parameter_axes, complete[i], end, color=colour, lw=width, alpha=alpha)
    axes.plot([], [], color=COLOURS[0], lw=1.6, label="best tenth")
    axes.plot([], [], color=GREY, lw=0.7, label="other complete trials")
    if any(trial.state == "pruned" for trial in study.trials):
        axes.plot([], [], ":", color=GREY, lw=0.7, label="pruned")
    for y, axis in enumerate(parameter_axes):
        _label(axes, y, *axis.ticks())
    _label(axes, len(parameter_axes), [0.0, 1.0], [f"{low:.4f}", f"{high:.4f}"])
    names = [*(axis.name for axis in parameter_axes), title(study.objective)]
    axes.set_yticks(range(len(names)), names, fontsize=SMALL, color=INK)
    axes.set_xticks([])
    axes.set_ylim(len(parameter_axes) + 0.5, -0.2)
    shown_note = some_of(len(paths), len(_varied(study)), "parameters")
    axes.set_xlabel(f"each axis has its own scale{shown_note}", color=INK)
    legend_below(figure)
    return figure


def important(results: Results) -> "Figure | None":
    """Draw how much of the objective's variance each parameter explains alone."""
    importance = results.importance
    if importance is None:
        return None
    shares = list(reversed(importance.shares))
    figure, axes = single(
        "Which parameter mattered, and how much was luck?",
        "share of variance explained alone (first-order)",
        "parameter",
        height=1.4 + 0.3 * len(shares),
    )
    colours = [GREY if name == "seed" else COLOURS[0] for name, _ in shares]
    axes.barh(range(len(shares)), [share for _, share in shares], color=colours)
    axes.set_yticks(range(len(shares)), [name for name, _ in shares])
    axes.set_xlim(0, 1)
    note = f"The forest explains {max(importance.explained, 0):.0%} of unseen trials."
    figure.supxlabel(note, x=0.01, ha="left", fontsize=SMALL, color=INK)
    return figure


def slices(results: Results) -> "Figure | None":
    """Draw the objective against each parameter."""
    study = results.study
    paths = _varied(study)[:_MOST_AXES]
    complete = [t for t in study.trials if not math.isnan(t.result(study.best_objective))]
    if not paths or len(complete) < 2:
        return None
    shown_note = some_of(len(paths), len(_varied(study)), "parameters")
    question = f"Where along each parameter do the good values lie{shown_note}?"
    parameter_axes = [_Axis(study, path) for path in paths]
    slanted = [axis.slanted_letters for axis in parameter_axes]
    figure, axes = panels(question, len(paths), height=2.3 + 0.03 * max(slanted, default=0))
    for panel, path, axis in zip(axes, paths, parameter_axes, strict=True):
        shown = [trial for trial in complete if path in trial.params]
        panel.plot(
            [axis.at(trial.params[path]) for trial in shown],
            [trial.result(study.best_objective) for trial in shown],
            "o",
            color=COLOURS[0],
            markersize=3.5,
            alpha=0.6,
        )
        panel.set_xticks(*axis.ticks())
        panel.tick_params("x", labelsize=SMALL)
        if axis.slanted_letters:
            for text in panel.get_xticklabels():
                text.set(rotation=35, ha="right", rotation_mode="anchor")
        panel.set_xlabel(axis.name, color=INK)
        panel.set_ylabel(f"valid {title(study.objective).split()[-1]}", color=INK)
    return figure


def _thread(
    axes: "Axes",
    parameter_axes: "list[_Axis]",
    trial: Trial,
    end: float | None = None,
    **style: Any,
) -> None:
    """Draw a trial's line with a dot for each of its values, past axes on which it has none."""
    points = [(axis.at(trial.params.get(axis.path)), y) for y, axis in enumerate(parameter_axes)]
    if end is not None:
        points.append((end, len(parameter_axes)))
    known_points = np.array([point for point in points if not math.isnan(point[0])])
    if len(known_points):
        axes.plot(*known_points.T, marker="o", ms=2.2 * style["lw"] ** 0.5, **style)


def _label(axes: "Axes", y: float, positions: list[float], texts: list[str]) -> None:
    """Draw a parameter's axis and write under it what its values are called, as far as it fits."""
    axes.axhline(y, color=GREY, lw=0.6)
    letters = max(_LETTERS // len(texts), 4)
    for x, text in zip(positions, texts, strict=True):
        side = "left" if x < 0.02 else "right" if x > 0.98 else "center"
        short = text if len(text) <= letters else f"{text[: letters - 1]}…"
        write(axes, x, y + 0.22, short, ha=side)


class _Axis:
    """Places a parameter's values between 0 and 1, on a log scale where the space has one."""

    def __init__(self, study: Study, path: str) -> None:
        self.path, self.name = path, study.name_of(path)
        values = [t.params[path] for t in study.trials if t.params.get(path) is not None]
        self.is_number = all(map(is_number, values))
        self._levels = list(dict.fromkeys(map(value_label, values)))
        domain = study.space.get("domains", {}).get(path, {})
        positive = self.is_number and min(values) > 0
        self._log = positive and (bool(domain.get("log")) or "log" in str(domain.get("kind", "")))
        numbers = [self._scale(value) for value in values] if self.is_number else [0.0]
        self._low, self._high = min(numbers), max(numbers)

    @property
    def letters(self) -> int:
        """Letters of its longest word; 0 for numbers."""
        return 0 if self.is_number else max(map(len, self._levels))

    @property
    def slanted_letters(self) -> int:
        """Letters of its longest tick label if they must be slanted under a panel, else 0."""
        texts = self.ticks()[1]
        is_crowded = len("  ".join(texts)) > _PANEL_LETTERS
        return max(map(len, texts)) if self.letters > _UPRIGHT or is_crowded else 0

    def at(self, value: Any) -> float:
        """Return a value's position; NaN if the parameter is inactive."""
        if value is None:
            return math.nan
        if not self.is_number:
            return self._levels.index(value_label(value)) / max(len(self._levels) - 1, 1)
        span = self._high - self._low
        return (self._scale(value) - self._low) / span if span else 0.5

    def ticks(self) -> tuple[list[float], list[str]]:
        """Return positions and texts of the tick labels."""
        if not self.is_number:
            return [i / max(len(self._levels) - 1, 1) for i in range(len(self._levels))], (
                self._levels
            )
        if len(self._levels) <= 5:
            values = sorted({float(level) for level in self._levels})
            spaced: list[float] = []
            for value in values:  # labels of neighbours would lie on each other
                if not spaced or self.at(value) - self.at(spaced[-1]) > _APART:
                    spaced.append(value)
            return [self.at(value) for value in spaced], [f"{value:g}" for value in spaced]
        positions = np.linspace(self._low, self._high, 4)
        numbers = 10**positions if self._log else positions
        return list(np.linspace(0, 1, 4)), [f"{number:.2g}" for number in numbers]

    def _scale(self, value: float) -> float:
        return math.log10(value) if self._log else float(value)


def _varied(study: Study) -> list[str]:
    """Return the parameters with more than one value."""
    return [
        path
        for path in study.paths
        if len({value_label(t.params[path]) for t in study.trials if path in t.params}) > 1
    ]
