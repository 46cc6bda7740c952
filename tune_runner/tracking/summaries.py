"""Summaries in MLflow: the study's best result and counts, and a run for each cell of many seeds.

MLflow's list, box plots and parallel coordinates then show and compare studies and cells. All is
computed from the trials that MLflow holds, so writing a summary again changes nothing.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import TYPE_CHECKING

from search_spaces.leading import leader
from search_spaces.objectives import Goals
from tune_runner import schema

if TYPE_CHECKING:
    from mlflow.entities import Run

Params = frozenset[tuple[str, str]]
"""Searched values as MLflow keeps them: (path, text)."""

_STATES = ("complete", "pruned", "failed")


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial that has ended, as MLflow holds it."""

    name: str
    state: str
    params: Params
    """Searched values, without the seed."""

    seed: str
    is_confirmation: bool
    tags: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Last value of each metric, by MLflow's name."""

    end: int = 0
    """Milliseconds since the epoch."""

    run_id: str = ""


def ended_trial(run: "Run") -> EndedTrial:
    """Return the trial of a run."""
    tags, params = run.data.tags, dict(run.data.params)
    seed = params.pop(schema.SEED, "")
    return EndedTrial(
        name=str(run.info.run_name),
        state=tags.get(schema.STATE, "running"),
        params=frozenset(params.items()),
        seed=seed,
        is_confirmation=schema.ROLE in tags,
        tags=tags,
        metrics=run.data.metrics,
        end=run.info.end_time or 0,
        run_id=run.info.run_id,
    )


def study_metrics(
    trials: Sequence[EndedTrial],
    objective: str,
    *,
    maximize: bool,
    goals: Goals | None = None,
    is_sampled: bool = False,
) -> tuple[dict[str, float], str]:
    """Return the metrics of the study's run, and the name of the best trial, "" without any.

    The best is the point with the best mean over its seeds; its newest trial stands for it.

    Args:
        trials: all that have ended.
        objective: metric that was searched by, by its own name.
        maximize: whether more of it is better.
        goals: of a study with several objectives or a constraint: the first of its answer counts.
        is_sampled: whether a sampler drew the points.
    """
    counts = Counter(trial.state for trial in trials)
    metrics = {f"{schema.TRIALS}/{state}": float(counts[state]) for state in _STATES}
    metrics[schema.COST_SECONDS] = sum(t.metrics.get(schema.COST_SECONDS, 0.0) for t in trials)
    key = schema.mlflow_name(f"best/{objective}")
    scored = [t for t in trials if _is_result(t) and key in t.metrics]
    if not scored:
        return metrics, ""
    points: dict[Params, list[EndedTrial]] = {}
    for trial in scored:
        points.setdefault(trial.params, []).append(trial)
    first = leader(
        {point: [t.metrics[key] for t in members] for point, members in points.items()},
        lambda value: -value if maximize else value,
        is_sampled=is_sampled,
    )
    assert first is not None
    best = max(points[first], key=lambda trial: trial.end)
    if goals is not None:
        best = next(iter(front_trials(trials, goals)), best)
    means = cell_metrics(points[best.params], objective, goals)
    results = {name: means[name] for name in _shown(objective, goals) if name in means}
    return {**results, **metrics}, best.name  # pages list the first one first


def goals_of(tags: Mapping[str, str]) -> Goals | None:
    """Return the goals of a study with several objectives or a constraint; None for any other."""
    if schema.OBJECTIVES not in tags and schema.CONSTRAINT not in tags:
        return None
    single = {"name": tags[schema.OBJECTIVE], "direction": tags[schema.DIRECTION]}
    return Goals.of_space(
        {
            "objectives": json.loads(tags.get(schema.OBJECTIVES, "[]")) or [single],
            "constraint": tags.get(schema.CONSTRAINT),
        }
    )


def front_trials(trials: Iterable[EndedTrial], goals: Goals) -> list[EndedTrial]:
    """Return the trials of the points that are the study's answer, the best point first.

    A point is judged by the means of its seeds; its trials are in the order of their numbers.
    """
    names = {name: schema.mlflow_name(f"best/{name}") for name in goals.metrics}
    cells: dict[Params, list[EndedTrial]] = {}
    for trial in sorted(trials, key=lambda trial: int(trial.tags.get(schema.TRIAL_NUMBER, 0))):
        if _is_result(trial) and all(key in trial.metrics for key in names.values()):
            cells.setdefault(trial.params, []).append(trial)
    points = list(cells.values())
    scores = [
        goals.scores({name: mean(t.metrics[key] for t in point) for name, key in names.items()})
        for point in points
    ]
    return [trial for i in goals.answer(scores) for trial in points[i]]


def cell_metrics(
    trials: Iterable[EndedTrial], objective: str, goals: Goals | None = None
) -> dict[str, float]:
    """Return means and sample standard deviations over the seeds of a cell, and their number.

    A seed that ran twice counts once; there is no deviation of a single seed.
    """
    by_seed = {trial.seed: trial for trial in trials if _is_result(trial)}
    metrics = {}
    for name in _shown(objective, goals):
        values = [t.metrics[name] for t in by_seed.values() if name in t.metrics]
        if values:
            metrics[name] = mean(values)
        if len(values) > 1:
            metrics[f"{schema.DEVIATION}/{name}"] = stdev(values)
    # last: the page that compares runs shows the first one at first
    return {**metrics, schema.NUM_SEEDS: float(len(by_seed))}


def _is_result(trial: EndedTrial) -> bool:
    return trial.state == "complete" and not trial.is_confirmation


def _shown(objective: str, goals: Goals | None) -> list[str]:
    judged = [objective] if goals is None else goals.metrics
    names = (*schema.HEADLINE_METRICS, *(f"best/{name}" for name in judged))
    return [schema.mlflow_name(name) for name in names]
