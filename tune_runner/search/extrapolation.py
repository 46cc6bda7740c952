"""Pruner that extrapolates a trial's curve by what the curves of complete trials turned into.

Median and halving rules compare a trial with others at the same epoch, and so stop whatever starts
slowly. Here the final value is predicted from the best value so far and from how much it has risen
lately: by least squares over the complete trials, with the scatter that the prediction had there.
Where early values say little, the scatter is large, and nothing is stopped.
"""

import math
from collections.abc import Mapping

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

STARTUP_TRIALS = 10
"""Complete trials that reached an epoch before a prediction is made there."""

_DEVIATIONS = 2.0
"""Standard deviations of the prediction above it: one in forty trials ends higher."""

_TOP = 0.9
"""Quantile of the complete trials' ends that a prediction is compared with."""


class ExtrapolationPruner(optuna.pruners.BasePruner):
    """Pruner that stops a trial whose predicted end lies below the best tenth of complete ones.

    Not below the best one: among n trials of pure noise each has a chance of 1/n to be that.
    """

    def __init__(self, *, n_warmup_steps: int) -> None:
        """Prune nothing before epoch `n_warmup_steps`."""
        self._warmup = n_warmup_steps

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether the trial will hardly become one of the best."""
        step = trial.last_step
        if step is None or step < self._warmup:
            return False
        sign = 1.0 if study.direction is StudyDirection.MAXIMIZE else -1.0
        complete = [
            other
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if (other.last_step or 0) >= step and other.value is not None
        ]
        if len(complete) < STARTUP_TRIALS:
            return False
        seen = np.array([_features(t.intermediate_values, step, sign) for t in complete])
        ends = np.array([sign * float(t.value or 0.0) for t in complete])
        new = np.array(_features(trial.intermediate_values, step, sign))
        if not np.isfinite(seen).all() or not np.isfinite(new).all():
            return False
        return _upper_bound(seen, ends, new) < float(np.quantile(ends, _TOP))


def _features(values: Mapping[int, float], step: int, sign: float) -> tuple[float, float, float]:
    """Return 1, the best value up to `step`, and its rise since half of it."""
    best = max((sign * v for s, v in values.items() if s <= step), default=math.nan)
    half = max((sign * v for s, v in values.items() if 2 * s <= step), default=math.nan)
    return 1.0, best, 0.0 if math.isnan(half) else best - half


def _upper_bound(seen: np.ndarray, ends: np.ndarray, new: np.ndarray) -> float:
    """Return an upper bound of the end of a trial with features `new`.

    The interval of a prediction by least squares: the scatter around the fit, more of it the
    farther `new` lies from what was seen.
    """
    inverse = np.linalg.pinv(seen.T @ seen)
    weights = inverse @ seen.T @ ends
    degrees = len(ends) - np.linalg.matrix_rank(seen)
    scatter = float(np.sum((ends - seen @ weights) ** 2)) / max(1, degrees)
    spread = math.sqrt(scatter * (1.0 + max(0.0, float(new @ inverse @ new))))
    return float(new @ weights) + _DEVIATIONS * spread
