"""How sure one may be with three to five seeds: paired Student intervals, Holm's correction.

A percentile bootstrap of three differences covers far less than it says, and a sign-flip test of
three pairs can never fall below p = 0.25; Student's t is exact for normal differences at every n
(`tests/analysis/comparisons/test_statistics.py` measures all of this). So verdicts rest on
Student's t. A bootstrap is offered beside it from `BOOTSTRAP_SEEDS` seeds on, where it covers;
below that it would only look like evidence. It resamples what is paired: seeds or, where trials
kept them, users (`analysis.comparisons.per_user`), of whom there are enough however few the
seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Coverage of every interval; 1 - LEVEL is the error rate of every family of tests."""

BOOTSTRAP_SEEDS = 5
"""Fewest paired values for which a bootstrap interval is given."""

_DRAWS = 4_000
_CHUNK = 2_000_000
"""Values drawn at a time: of thousands of users all draws at once would take hundreds of MB."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its interval, and the p value of "it is zero"; NaN where unknown."""

    n: int
    mean: float
    low: float
    high: float
    p: float

    @property
    def is_known(self) -> bool:
        """Whether there were seeds enough for an interval: two."""
        return not math.isnan(self.p)


def student(mean: Array, deviation: Array, n: Array) -> tuple[Array, Array, Array]:
    """Return low, high and p of means with sample deviations of n values each, elementwise."""
    from scipy import stats

    known = n > 1
    freedom = np.where(known, n - 1, 1)
    error = np.where(known, deviation / np.sqrt(np.maximum(n, 1)), np.nan)
    half = stats.t.ppf(0.5 + LEVEL / 2, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where((error == 0) & (mean == 0), 0.0, np.abs(mean) / error)
    p = np.where(known, 2 * stats.t.sf(t, freedom), np.nan)
    return mean - half, mean + half, p


def estimates(samples: Sequence[Sequence[float]]) -> list[Estimate]:
    """Return the estimate of each sample's mean; an empty sample has none."""
    n = np.array([len(sample) for sample in samples], dtype=float)
    mean = np.array([np.mean(sample) if len(sample) else np.nan for sample in samples])
    deviation = np.array([np.std(s, ddof=1) if len(s) > 1 else np.nan for s in samples])
    rows = zip(n, mean, *student(mean, deviation, n), strict=True)
    return [Estimate(int(k), float(m), float(a), float(b), float(p)) for k, m, a, b, p in rows]


def holm(p: Sequence[float] | Array) -> Array:
    """Return Holm's adjusted p values along the last axis; NaN is not a test and stays NaN."""
    given = np.asarray(p, dtype=float)
    order = np.argsort(given, axis=-1)  # NaN last
    ranked = np.take_along_axis(given, order, axis=-1)
    tests = np.sum(~np.isnan(given), axis=-1, keepdims=True)
    factor = np.maximum(tests - np.arange(given.shape[-1]), 1)
    adjusted = np.minimum(np.maximum.accumulate(ranked * factor, axis=-1), 1.0)
    out = np.empty_like(adjusted)
    np.put_along_axis(out, order, adjusted, axis=-1)
    return out


def bootstrap(sample: Sequence[float]) -> tuple[float, float]:
    """Return the studentized bootstrap interval of the mean; NaN below `BOOTSTRAP_SEEDS` values.

    Each draw's mean is put in units of its own standard error (Efron and Tibshirani 1993, chapter
    12.5), since the plain percentile interval is too narrow at such sizes. The draws are the same
    for the same number of values.
    """
    if len(sample) < BOOTSTRAP_SEEDS:
        return math.nan, math.nan
    return _bootstrap(tuple(sample))


@lru_cache(maxsize=512)
def _bootstrap(sample: tuple[float, ...]) -> tuple[float, float]:
    """Return it; once, since a report has the same comparison in a table and in a sentence."""
    n = len(sample)
    values = np.asarray(sample, dtype=float)
    mean, error = values.mean(), values.std(ddof=1) / math.sqrt(n)
    rng, chunk = np.random.default_rng(n), max(1, min(_DRAWS, _CHUNK // n))
    parts = []
    for first in range(0, _DRAWS, chunk):
        draws = values[rng.integers(0, n, (min(chunk, _DRAWS - first), n))]
        spread = draws.std(axis=1, ddof=1) / math.sqrt(n)
        kept = spread > 0  # a draw of one value only says nothing
        parts.append((draws.mean(axis=1)[kept] - mean) / spread[kept])
    t = np.concatenate(parts)
    if error == 0 or not len(t):
        return float(mean), float(mean)
    below, above = np.quantile(t, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float(mean - above * error), float(mean - below * error)
