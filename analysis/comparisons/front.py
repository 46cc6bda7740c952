"""Answer of a study with several objectives or a constraint: its points, with intervals over seeds.

Points are judged by their means over seeds. The hypervolume is that of each seed's own results, so
that its interval shows how much of a front is chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.comparisons.hypervolume import hypervolume
from analysis.report_table import ReportTable
from analysis.study.labels import NONE
from analysis.study.metrics import METRIC, title
from analysis.study.model import Cell, Study, cell_name, values_of
from diffrec.evaluation.paired import LEVEL, Estimate, estimates

_SHOWN = 20
"""Points of the table at most."""

_WHAT = (
    "Mean over the seeds on validation, {level} Student interval below it. No other point with a "
    "result is as good in all objectives and better in one"
)


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """Point of the answer."""

    cell: Cell
    values: tuple[Estimate, ...]
    """Each metric that the study judges by, over the seeds."""


@dataclass(frozen=True, slots=True)
class Front:
    """Points that are the answer, the best in the first objective first."""

    points: tuple[FrontPoint, ...]
    metrics: tuple[str, ...]
    """Metrics that the study judges by: the objectives, then that of the constraint."""

    num_feasible: int
    num_results: int
    """Points that meet the constraint, and all that have a result."""

    volume: Estimate
    """Hypervolume of each seed's results as a share of the box between the worst and the best
    values of all results; NaN with one objective."""


def front_of(study: Study) -> Front | None:
    """Return the answer of a study; None if it has one objective and no constraint."""
    goals, metrics = study.goals, study.goals.metrics
    cells = study.judged_cells
    if goals.is_plain or not cells:
        return None
    scores = [study.scores_of(cell) for cell in cells]
    feasible = [c for c, v in zip(cells, goals.violations(scores), strict=True) if v <= 0]
    chosen = [cells[i] for i in goals.answer(scores)]
    points = [
        FrontPoint(
            cell,
            tuple(estimates([list(cell.by_seed(f"best/{m}").values()) for m in metrics])),
        )
        for cell in chosen
    ]
    return Front(tuple(points), metrics, len(feasible), len(cells), _volume(study, feasible))


def _volume(study: Study, cells: Sequence[Cell]) -> Estimate:
    """Return the hypervolume over seeds; each objective is scaled to 0, the best, and 1."""
    objectives = study.goals.objectives
    if len(objectives) == 1:
        return estimates([[]])[0]
    by_seed: dict[int, list[tuple[float, ...]]] = {}
    for cell in cells:
        columns = [cell.by_seed(f"best/{objective.name}") for objective in objectives]
        for seed in set.intersection(*(set(column) for column in columns)):
            pairs = zip(objectives, columns, strict=True)
            point = tuple(objective.sort_key(column[seed]) for objective, column in pairs)
            by_seed.setdefault(seed, []).append(point)
    axes = list(zip(*(point for points in by_seed.values() for point in points), strict=True))
    spans = [(min(axis), max(axis)) for axis in axes]
    if not spans or any(low == high for low, high in spans):
        return estimates([[]])[0]
    volumes = [
        hypervolume(
            [
                tuple((v - low) / (high - low) for v, (low, high) in zip(p, spans, strict=True))
                for p in points
            ],
            [1.0] * len(spans),
        )
        for points in by_seed.values()
    ]
    return estimates([volumes])[0]


def front_table(study: Study, front: Front | None) -> ReportTable | None:
    """Return the points of the answer; None for a study with one objective and no constraint."""
    if front is None:
        return None
    rows = [
        (
            cell_name(study, point.cell),
            *(_interval(value) for value in point.values),
            f"{point.cell.mean(METRIC):.4f}",
            str(point.cell.num_seeds),
            values_of(study, point.cell.params),
        )
        for point in front.points[:_SHOWN]
    ]
    head = ("point", *front.metrics, f"{title(METRIC)} (test)", "seeds", "values")
    note = _WHAT.format(level=f"{LEVEL:.0%}")
    constraint = study.goals.constraint
    if constraint is not None:
        note += (
            f", of the {front.num_feasible} of {front.num_results} whose {constraint.metric.name} "
            f"is within {constraint.share:.3g} of the best"
        )
    if len(front.points) > _SHOWN:
        note += f". The first {_SHOWN} of {len(front.points)}"
    return ReportTable("front", "The front", head, tuple(rows), f"{note}.")


def front_sentence(study: Study, front: Front | None) -> str:
    """Return how large the front is, what it spans, and its hypervolume; empty without one."""
    if front is None:
        return ""
    goals, text = study.goals, ""
    if goals.constraint is not None:
        text = (
            f"{front.num_feasible} of {front.num_results} points with a result have a "
            f"{goals.constraint.metric.name} within {goals.constraint.share:.3g} of the best. "
        )
    if len(goals.objectives) == 1:
        best, others = front.points[0], goals.metrics
        named = zip(others, best.values, strict=True)
        values = ", ".join(f"{name} {value.mean:.4f}" for name, value in named)
        return f"{text}The best of them: {cell_name(study, best.cell)}, {values}."
    spans = []
    for i, objective in enumerate(goals.objectives):
        means = [point.values[i].mean for point in front.points]
        spans.append(f"{objective.name} {min(means):.4f} to {max(means):.4f}")
    count = len(front.points)
    verb = "point is" if count == 1 else "points are"
    text += f"{count} {verb} on the Pareto front: {', '.join(spans)}."
    return text + _volume_text(front.volume)


def _volume_text(volume: Estimate) -> str:
    if math.isnan(volume.mean):
        return ""
    interval = (
        f" ({LEVEL:.0%} interval over {volume.n} seeds {volume.low:.3f} to {volume.high:.3f})"
        if volume.is_known
        else ""
    )
    return (
        f" Its hypervolume is {volume.mean:.3f} of the box between the worst and the best values"
        f"{interval}."
    )


def _interval(value: Estimate) -> str:
    if not value.n:
        return NONE
    mean = f"{value.mean:.4f}"
    return f"{mean}\n{value.low:.4f} to {value.high:.4f}" if value.is_known else mean
