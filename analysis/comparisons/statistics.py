"""Holm, equivalence, studentized bootstrap for few seeds; ours, since scipy has none of them.

A percentile bootstrap of three differences covers far less than it says, and a sign-flip test of
three pairs can never fall below p = 0.25; Student's t is exact for normal differences at every n
(`tests/analysis/comparisons/test_statistics.py` measures all of this). So verdicts rest on
Student's t. A bootstrap is offered beside it from `BOOTSTRAP_SEEDS` values on, where it covers;
below that it would only look like evidence. It resamples the paired unit: seeds or, if trials
recorded them, users (`analysis.comparisons.per_user`), who are many however few the seeds.

statsmodels would be a dependency for a few lines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Coverage of every interval; 1 - LEVEL is the error rate of every family of tests."""

POWER = 0.8
"""Probability with which a difference of the smallest detectable size would have been shown."""

MARGIN = 0.02
"""Largest relative difference that counts as none in a test of equivalence."""

DISTINCT = 3
"""Fewest distinct differences on which a verdict may rest: ties have no spread to judge by."""

BOOTSTRAP_SEEDS = 5
"""Fewest paired values for which a bootstrap interval is given."""

_DIGITS = 12
"""Decimals beyond which two values count as equal: they differ by rounding only."""

_QUANTILES = 2_000
"""Points of the deviation's distribution that the power is averaged over."""

_DRAWS = 4_000
_CHUNK = 2_000_000
"""Values drawn at a time: for thousands of users all draws at once would take hundreds of MB."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean of a sample with its interval and the p value of "it is zero"; NaN where unknown."""

    n: int
    mean: float
    low: float
    high: float
    p: float
    deviation: float = math.nan
    """Sample standard deviation."""

    distinct: int = 0
    """Number of distinct values in the sample."""

    @property
    def is_known(self) -> bool:
        """True if there is an interval: two values or more that are not all equal."""
        return not math.isnan(self.p)

    @property
    def is_same(self) -> bool:
        """True if two or more differences are all exactly zero: both sides gave the same values."""
        return self.n > 1 and self.is_zero

    @property
    def is_zero(self) -> bool:
        """True if every value is exactly zero, but for rounding."""
        return self.distinct == 1 and round(self.mean, _DIGITS) == 0

    @property
    def can_be_judged(self) -> bool:
        """True if a verdict may rest on it: an interval, and enough distinct differences."""
        return self.is_known and self.distinct >= DISTINCT


def student(mean: Array, deviation: Array, n: Array) -> tuple[Array, Array, Array]:
    """Return low, high and p of means with sample deviations of n values each, elementwise.

    NaN for fewer than two values, and for values that are all equal: no spread, no interval.
    """
    from scipy import stats

    has_spread = (n > 1) & (deviation > 0)
    degrees = np.where(has_spread, n - 1, 1)
    error = np.where(has_spread, deviation / np.sqrt(np.maximum(n, 1)), np.nan)
    half = stats.t.ppf(0.5 + LEVEL / 2, degrees) * error
    p = np.where(has_spread, 2 * stats.t.sf(np.abs(mean) / error, degrees), np.nan)
    return mean - half, mean + half, p


def estimates(samples: Sequence[Sequence[float]]) -> list[Estimate]:
    """Return the estimate of each sample's mean; an empty sample has none."""
    n = np.array([len(sample) for sample in samples], dtype=float)
    mean = np.array([np.mean(sample) if len(sample) else np.nan for sample in samples])
    # Of equal differences rounding can leave a deviation of 1e-19, and so p = 0.
    distinct = [len({round(float(value), _DIGITS) for value in sample}) for sample in samples]
    deviation = np.array(
        [
            math.nan if len(s) < 2 else 0.0 if k == 1 else np.std(s, ddof=1)
            for s, k in zip(samples, distinct, strict=True)
        ]
    )
    rows = zip(n, mean, *student(mean, deviation, n), deviation, distinct, strict=True)
    return [
        Estimate(int(k), float(m), float(a), float(b), float(p), float(d), same)
        for k, m, a, b, p, d, same in rows
    ]


def holm(p: Sequence[float] | Array) -> Array:
    """Return Holm's adjusted p values along the last axis; NaN is not a test and stays NaN."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, axis=-1)  # NaN last
    ranked = np.take_along_axis(values, order, axis=-1)
    tests = np.sum(~np.isnan(values), axis=-1, keepdims=True)
    factor = np.maximum(tests - np.arange(values.shape[-1]), 1)
    adjusted = np.minimum(np.maximum.accumulate(ranked * factor, axis=-1), 1.0)
    result = np.empty_like(adjusted)
    np.put_along_axis(result, order, adjusted, axis=-1)
    return result


def equivalence_p(samples: Sequence[Estimate], margins: Sequence[float]) -> Array:
    """Return the p value of "the mean is at least `margin` from zero" for each estimate.

    Two one-sided tests (TOST; Schuirmann 1987): small means equivalent to zero within the margin.
    NaN where the estimate cannot be judged or there is no margin.
    """
    from scipy import stats

    mean, deviation = (
        np.array([getattr(e, name) for e in samples]) for name in ("mean", "deviation")
    )
    n, margin = np.array([e.n for e in samples], dtype=float), np.array(margins, dtype=float)
    judged = np.array([e.can_be_judged for e in samples], dtype=bool) & (margin > 0)
    error = np.where(judged, deviation / np.sqrt(np.maximum(n, 1)), np.nan)
    return stats.t.sf((margin - np.abs(mean)) / error, np.where(judged, n - 1, 1))


def detectable_difference(estimate: Estimate, tests: int) -> float:
    """Return the smallest true difference that would have been shown with probability `POWER`.

    From the sample's own spread and size, as for a noncentral t, at the error rate that the first
    of Holm's `tests` steps allows. NaN where the estimate cannot be judged.
    """
    if not estimate.can_be_judged:
        return math.nan
    from scipy import optimize, special, stats

    degrees = estimate.n - 1
    critical = float(stats.t.isf((1 - LEVEL) / 2 / max(tests, 1), degrees))
    # scipy's noncentral t is NaN in places; the mean over the deviation's quantiles is not.
    middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    bound = critical * np.sqrt(stats.chi2.ppf(middles, degrees) / degrees)

    def missing_power(shift: float) -> float:
        shown = special.ndtr(shift - bound) + special.ndtr(-shift - bound)
        return float(shown.mean()) - POWER

    high = critical + 3.0
    while missing_power(high) < 0:
        high *= 2
    shift: Any = optimize.brentq(missing_power, 0.0, high, xtol=1e-4)
    return float(shift) * estimate.deviation / math.sqrt(estimate.n)


def bootstrap(sample: Sequence[float]) -> tuple[float, float]:
    """Return the studentized bootstrap interval of the mean.

    NaN below `BOOTSTRAP_SEEDS` values, and for values that are all equal. Each draw's mean is put
    in units of its own standard error (Efron and Tibshirani 1993, chapter 12.5), since the plain
    percentile interval is too narrow at such sizes. The draws depend on the number of values only.
    """
    n = len(sample)
    if n < BOOTSTRAP_SEEDS or len({round(float(x), _DIGITS) for x in sample}) == 1:
        return math.nan, math.nan
    values = np.asarray(sample, dtype=float)
    mean, error = values.mean(), values.std(ddof=1) / math.sqrt(n)
    rng, chunk = np.random.default_rng(n), max(1, min(_DRAWS, _CHUNK // n))
    parts = []
    for first in range(0, _DRAWS, chunk):
        draws = values[rng.integers(0, n, (min(chunk, _DRAWS - first), n))]
        spread = draws.std(axis=1, ddof=1) / math.sqrt(n)
        varied = spread > 0  # a draw of one value only says nothing
        parts.append((draws.mean(axis=1)[varied] - mean) / spread[varied])
    below, above = np.quantile(np.concatenate(parts), [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float(mean - above * error), float(mean - below * error)
