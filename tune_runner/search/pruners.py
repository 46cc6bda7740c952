"""Optuna's pruners by the names of `--pruner`, fitted to a trial's length.

In Tune's words this is the `scheduler`. It keeps no state; the decision is Optuna's, made on the
intermediate values in the study. Steps are epochs.
"""

import optuna

from tune_runner.search.extrapolation import ExtrapolationPruner

_STARTUP_TRIALS = 5
"""Complete trials before the median and percentile rules say anything."""


def make_pruner(name: str, *, max_epochs: int, eval_every: int) -> optuna.pruners.BasePruner:
    """Return the pruner `name`, its steps fitted to how long a trial runs.

    Args:
        name: one of `tune_runner.study.config.PRUNERS`.
        max_epochs: the longest that a trial may run.
        eval_every: epochs between two validations; nothing can be judged before the first.
    """
    warmup = max(eval_every, max_epochs // 10)
    median = optuna.pruners.MedianPruner(_STARTUP_TRIALS, n_warmup_steps=warmup)
    match name:
        case "median":
            return median
        case "percentile":
            return optuna.pruners.PercentilePruner(25.0, _STARTUP_TRIALS, n_warmup_steps=warmup)
        case "patient":
            return optuna.pruners.PatientPruner(median, patience=3)
        case "successive-halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=warmup, reduction_factor=3)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(
                min_resource=warmup, max_resource=max_epochs, reduction_factor=3
            )
        case "extrapolation":
            return ExtrapolationPruner(n_warmup_steps=warmup)
        case _:
            return optuna.pruners.NopPruner()
