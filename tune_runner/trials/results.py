"""Decides how a trial ended."""

import math

from search_spaces.objectives import Goals
from tune_runner.events import Outcome, TrialResult
from tune_runner.trials import retries
from tune_runner.trials.groups import ActiveTrial


def final_result(trial: ActiveTrial, outcome: Outcome | None, goals: Goals) -> TrialResult:
    """Return the result of a trial; without an outcome it was pruned.

    A trial that lacks a metric by which its study judges has failed.
    """
    if outcome is None:
        return TrialResult("pruned", trial.epoch)
    error = retries.describe_failure(outcome)
    if error is None and (outcome.value is None or not math.isfinite(outcome.value)):
        error = f"the objective is not a number ({outcome.value}) after epoch {trial.epoch}"
    others = () if goals.is_plain else goals.metrics
    for name in others if error is None else ():
        value = outcome.metrics.get(f"best/{name}")
        if value is None or not math.isfinite(value):
            error = f"{name} is not a number ({value}) after epoch {trial.epoch}"
            break
    if error is not None:
        return TrialResult("failed", trial.epoch, metrics=outcome.metrics, error=error)
    return TrialResult(
        "complete", trial.epoch, outcome.value, outcome.metrics, artifacts=outcome.artifacts
    )
