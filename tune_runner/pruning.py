"""Which trials are given up early: pruners by name, and the scheduler that obeys them.

In Tune's words this is the `scheduler`. It keeps no state; the decision is Optuna's, made on the
intermediate values in the study. Steps are epochs.
"""

from typing import Any

import optuna
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tune_runner.conductor import Conductor
from tune_runner.reports import GroupReport
from tune_runner.searching import REPORT, last_error

_STARTUP_TRIALS = 5
"""Complete trials before the median and percentile rules say anything."""


def make_pruner(name: str, *, max_epochs: int, eval_every: int) -> optuna.pruners.BasePruner:
    """Return the pruner `name`, its steps fitted to how long a trial runs.

    Args:
        name: one of `tune_runner.settings.PRUNERS`.
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
        case _:
            return optuna.pruners.NopPruner()


class PruningScheduler(FIFOScheduler):
    """First in, first out, and stopped when the study says so."""

    @property
    def supports_buffered_results(self) -> bool:
        """A report that is kept back comes too late to be judged."""
        return False

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass the reports on; stop a worker whose trials have all ended or been given up.

        One of several that is given up leaves the others when its worker finds its checkpoints gone
        (see trainable).
        """
        report = result.get(REPORT)
        if not isinstance(report, GroupReport):
            return TrialScheduler.CONTINUE
        is_over = self._conductor.report(trial.trial_id, report)
        return TrialScheduler.STOP if is_over else TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Keep the reason: the searcher is told of the failure without it."""
        self._conductor.note_error(trial.trial_id, last_error(trial))

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def debug_string(self) -> str:
        """Return Tune's one-line description."""
        return "The study's pruner decides."
