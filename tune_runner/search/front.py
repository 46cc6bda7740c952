"""Answer of a study with several objectives or a constraint: the points on its front.

A point's trials are its seeds; it is judged by their means. Confirmation trials are left out:
nothing may be selected by their seeds.
"""

import copy
import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces.objectives import Goals, Scores
from search_spaces.space import SearchSpace
from tune_runner.schema import NAME, SCORES
from tune_runner.search.observations import observations, trials_by_point

_CONSTRAINT = "constraints:"
"""Prefix of the attributes in which Optuna keeps the violations of constraints."""


class PointResult(NamedTuple):
    """A point of the space that has a result."""

    trials: Sequence[FrozenTrial]
    """Its complete trials, one for each seed, by number."""

    scores: Scores
    """Means over them."""

    @property
    def number(self) -> int:
        """Number of the trial that stands for the point: its first one."""
        return self.trials[0].number

    def named(self, goals: Goals) -> dict[str, float]:
        """Return the scores by metric."""
        values = dict(zip((o.name for o in goals.objectives), self.scores.values, strict=True))
        if goals.constraint is not None:
            values.setdefault(goals.constraint.metric.name, _limited(self))
        return values


def point_results(trials: Sequence[FrozenTrial], goals: Goals) -> list[PointResult]:
    """Return the points of the search that have a complete trial."""
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    points = trials_by_point(complete)
    return [PointResult(group, mean_scores(group, goals)) for group in points.values()]


def mean_scores(trials: Sequence[FrozenTrial], goals: Goals) -> Scores:
    """Return the means of the scores of some complete trials."""
    scores = [goals.scores(metrics_of(trial, goals)) for trial in trials]
    values = tuple(fmean(values) for values in zip(*(s.values for s in scores), strict=True))
    limited = [s.constrained for s in scores if s.constrained is not None]
    return Scores(values, fmean(limited) if limited else None)


def metrics_of(trial: FrozenTrial, goals: Goals) -> Mapping[str, float]:
    """Return the metrics of a complete trial that the goals need."""
    names = (objective.name for objective in goals.objectives)
    values = dict(zip(names, trial.values or (), strict=True))
    return {**values, **trial.user_attrs.get(SCORES, {})}


def judged_observations(trials: Sequence[FrozenTrial], goals: Goals) -> list[FrozenTrial]:
    """Return one observation for each point (`observations`), feasible or not as things stand.

    What Optuna keeps of a constraint is from the end of the trial; the best has moved since.
    """
    seen = observations(trials)
    if goals.constraint is None:
        return seen
    groups = list(trials_by_point(trials).values())
    complete = [[t for t in group if t.state is TrialState.COMPLETE] for group in groups]
    known = [i for i, group in enumerate(complete) if group]
    violations = goals.violations([mean_scores(complete[i], goals) for i in known])
    judged = dict(zip(known, violations, strict=True))
    return [_with_violation(trial, judged.get(i)) for i, trial in enumerate(seen)]


def _with_violation(trial: FrozenTrial, violation: float | None) -> FrozenTrial:
    """Return a copy with this violation as its only constraint; None: without any."""
    kept = {k: v for k, v in trial.system_attrs.items() if not k.startswith(_CONSTRAINT)}
    seen = copy.copy(trial)
    seen.system_attrs = kept if violation is None else {**kept, f"{_CONSTRAINT}current": violation}
    return seen


def tell(
    study: optuna.Study,
    trial: optuna.Trial,
    space: SearchSpace,
    value: float,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Close a trial with all that the study judges it by.

    Args:
        study: that the trial belongs to.
        trial: that has ended.
        space: with the objectives and the constraint.
        value: of the objective, or of the first one.
        metrics: `best/...`, of which the other objectives and the constraint's metric are taken.
    """
    goals = space.goals
    if goals.is_plain:
        study.tell(trial, value)
        return
    scores = {name: (metrics or {})[f"best/{name}"] for name in goals.metrics}
    trial.set_user_attr(SCORES, scores)
    if goals.constraint is not None:
        points = point_results(study.get_trials(deepcopy=False), goals)
        limited = scores[goals.constraint.metric.name]
        best = goals.constraint.best([limited, *(_limited(point) for point in points)])
        # as it stands now; a sampler is shown how it stands whenever it draws
        trial.set_constraint(str(space.constraint), goals.constraint.violation(limited, best))
    study.tell(trial, list(goals.scores(scores).values))


def outside(points: Mapping[Hashable, Sequence[FrozenTrial]], goals: Goals) -> set[Hashable]:
    """Return the points that the constraint leaves out."""
    violations = goals.violations([mean_scores(trials, goals) for trials in points.values()])
    return {point for point, over in zip(points, violations, strict=True) if over > 0}


def answer(trials: Sequence[FrozenTrial], goals: Goals) -> list[PointResult]:
    """Return the points that are the study's answer so far, the best first (`Goals.answer`)."""
    points = point_results(trials, goals)
    return [points[i] for i in goals.answer([point.scores for point in points])]


def kept_numbers(trials: Sequence[FrozenTrial], goals: Goals) -> set[int]:
    """Return the trials whose checkpoints stay: of the answer, and of what may yet become it."""
    points = point_results(trials, goals)
    return {points[i].number for i in goals.candidates([point.scores for point in points])}


def answer_text(trials: Sequence[FrozenTrial], goals: Goals) -> str:
    """Return the answer so far in a phrase; empty without a complete trial."""
    points = answer(trials, goals)
    if not points:
        return ""
    if goals.constraint is None:
        count = len(points)
        return f"front of {count} point{'s' if count > 1 else ''}: {spans(points, goals)}"
    limited, name = goals.constraint.metric.name, goals.objectives[0].name
    if len(goals.objectives) > 1:
        return (
            f"front of {len(points)} within the bound of {limited}: {spans(points, goals)}, "
            f"{_span(limited, [_limited(point) for point in points])}"
        )
    best = points[0]
    values = best.named(goals)
    trial = best.trials[0].user_attrs.get(NAME, f"{best.number:04d}")
    return f"{name} {values[name]:.4f} with {limited} {values[limited]:.4f} ({trial})"


def spans(points: Sequence[PointResult], goals: Goals) -> str:
    """Return the range of each objective over some points."""
    columns = zip(*(point.scores.values for point in points), strict=True)
    named = zip(goals.objectives, columns, strict=True)
    return ", ".join(_span(objective.name, values) for objective, values in named)


def _limited(point: PointResult) -> float:
    """Return the point's value of the constraint's metric."""
    return math.nan if point.scores.constrained is None else point.scores.constrained


def _span(name: str, values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{name} {low:.4f}" if low == high else f"{name} {low:.4f} to {high:.4f}"
