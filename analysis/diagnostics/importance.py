"""First-order fANOVA importance, seed included; ours, since Optuna's drops conditional parameters.

A forest learns the objective from the parameters of the complete trials. V is the variance of its
prediction if every parameter is drawn independently from the values that were tried; a parameter's
share is the part of V that its average effect explains (Hutter et al. 2014, first order only). The
remainder to 1 is joint effects. The seed is a parameter too: its share is luck. If the forest
predicts unseen trials badly (`explained`), the shares mean little.

`analysis` may not import Optuna, either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.study.labels import is_number
from analysis.study.model import SEED, Study, Trial

_FEWEST = 10
_TREES = 100
_POINTS = 200
"""Fewest points that an average effect is taken over."""

_MOST_VALUES = 40


@dataclass(frozen=True, slots=True)
class Importance:
    """Shares of variance by parameter, the largest first, and the fit of the forest."""

    shares: tuple[tuple[str, float], ...]
    explained: float
    """R² on the trials that a tree has not seen (out of bag)."""


def importance(study: Study) -> Importance | None:
    """Return the shares; None with fewer than ten complete trials or nothing that varies."""
    trials = [t for t in study.distinct_trials if not math.isnan(t.result(study.best_objective))]
    paths = [path for path in (*study.paths, SEED) if len(_values(trials, path)) > 1]
    y = np.array([trial.result(study.best_objective) for trial in trials])
    if len(trials) < _FEWEST or not paths or y.std() == 0:
        return None
    from sklearn.ensemble import RandomForestRegressor

    columns = [_columns([_value(trial, path) for trial in trials]) for path in paths]
    x = np.hstack(columns)
    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, oob_score=True, random_state=0)
    forest.fit(x, y)
    rng = np.random.default_rng(0)
    # Every parameter shuffled on its own: its values stay as often as they were tried.
    repeats = -(-_POINTS // len(x))
    cloud = np.hstack(
        [rng.permutation(np.tile(column_block, (repeats, 1))) for column_block in columns]
    )
    total = float(forest.predict(cloud).var())
    shares, start = [], 0
    for path, column_block in zip(paths, columns, strict=True):
        column_slice = slice(start, start + column_block.shape[1])
        effect = _average_effect(forest, cloud, column_block, column_slice)
        shares.append((study.name_of(path), float(effect) / total if total else 0.0))
        start += column_block.shape[1]
    shares.sort(key=lambda share: -share[1])
    return Importance(tuple(shares), float(forest.oob_score_))


def _average_effect(
    forest: Any, cloud: NDArray[np.float64], column_block: NDArray[np.float64], column_slice: slice
) -> float:
    """Return the variance of the mean prediction over the values of one parameter."""
    values, counts = np.unique(column_block, axis=0, return_counts=True)
    if len(values) > _MOST_VALUES:  # a continuous parameter: at its quantiles
        middles = (np.arange(_MOST_VALUES) + 0.5) / _MOST_VALUES
        values = np.quantile(column_block, middles, axis=0, method="inverted_cdf")
        counts = np.ones(_MOST_VALUES)
    points = np.repeat(cloud[None], len(values), axis=0)
    points[:, :, column_slice] = values[:, None]
    means = forest.predict(points.reshape(-1, cloud.shape[1])).reshape(len(values), -1).mean(axis=1)
    mean = np.average(means, weights=counts)
    return float(np.average((means - mean) ** 2, weights=counts))


def _columns(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return a parameter as columns for a forest: its number, else one column for every level.

    A numeric parameter that is inactive in some trials has a second column that says so.
    """
    missing = np.array([[value is None] for value in values], dtype=float)
    if all(value is None or is_number(value) for value in values):
        numbers = np.array([[0.0 if value is None else float(value)] for value in values])
        return np.hstack([numbers, missing]) if missing.any() else numbers
    levels = list(dict.fromkeys(map(repr, values)))
    return np.array([[float(repr(value) == level) for level in levels] for value in values])


def _value(trial: Trial, path: str) -> Any:
    # A seed is a name, not a size.
    return f"seed {trial.seed}" if path == SEED else trial.params.get(path)


def _values(trials: Sequence[Trial], path: str) -> set[str]:
    return {repr(_value(trial, path)) for trial in trials}
