"""Trials that are never pruned: a sample by which the pruner itself is judged.

A pruned trial has no end, so from pruned trials alone nobody learns what pruning has cost. One
trial in ten runs to its end whatever the pruner says; where it would have been stopped is kept.
"""

from collections.abc import Sequence
from statistics import correlation

from optuna.trial import FrozenTrial, TrialState

from search_spaces.objectives import Objective
from tune_runner.schema import WOULD_PRUNE

_EVERY = 10
_FEWEST = 8
"""Trials that a rank correlation is taken from at least."""

_WEAK = 0.3
"""Rank correlation of early and final values below which an order at that epoch says little."""


def is_never_pruned(number: int) -> bool:
    """Return whether a trial of this number runs to its end whatever the pruner says."""
    return number % _EVERY == _EVERY - 1


def pruning_sentence(trials: Sequence[FrozenTrial], objective: Objective) -> str:
    """Return what pruning would have cost, by the trials that are never pruned; "" without any.

    It says "not safe here" if one of those that the pruner would have stopped is the best of all,
    or if their early values hardly correlate with their ends.
    """
    complete = [t for t in trials if t.state is TrialState.COMPLETE and t.values]
    sample = [t for t in complete if is_never_pruned(t.number)]
    flagged = [t for t in sample if WOULD_PRUNE in t.user_attrs]
    if not flagged:
        return ""
    best = min(complete, key=lambda t: objective.sort_key(_end(t)))
    best_flagged = min(flagged, key=lambda t: objective.sort_key(_end(t)))
    said = (
        f"of {len(sample)} trials that are never pruned the pruner would have stopped "
        f"{len(flagged)}; "
    )
    if best_flagged is best:
        return f"{said}one of them is the best of all: pruning is not safe here"
    lost = abs(_end(best) - _end(best_flagged)) / (abs(_end(best)) or 1.0)
    said += f"the best of those ended {lost:.1%} behind the best trial"
    rho = early_correlation(sample, objective)
    if rho is not None and rho < _WEAK:
        said += f"; early and final values correlate {rho:.2f}: pruning is not safe here"
    return said


def early_correlation(sample: Sequence[FrozenTrial], objective: Objective) -> float | None:
    """Return Spearman's correlation of the first validation with the end; None if unknown."""
    curves = [t for t in sample if t.intermediate_values]
    if len(curves) < _FEWEST:
        return None
    step = max(min(t.intermediate_values) for t in curves)
    early = [_best_until(t, step, objective) for t in curves]
    ends = [_end(t) for t in curves]
    if len(set(early)) == 1 or len(set(ends)) == 1:
        return None
    return correlation(_ranks(early), _ranks(ends))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the ranks of values; equal ones share their mean rank."""
    ordered = sorted(values)
    return [ordered.index(v) + (ordered.count(v) - 1) / 2 for v in values]


def _best_until(trial: FrozenTrial, step: int, objective: Objective) -> float:
    values = (v for s, v in trial.intermediate_values.items() if s <= step)
    return min(values, key=objective.sort_key)


def _end(trial: FrozenTrial) -> float:
    assert trial.values
    return trial.values[0]
