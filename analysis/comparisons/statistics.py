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
from typing import Any

import numpy as np

from diffrec.evaluation.paired import DIGITS, LEVEL, Array, Estimate

POWER = 0.8
"""Probability with which a difference of the smallest detectable size would have been shown."""

MARGIN = 0.02
"""Largest relative difference that counts as none in a test of equivalence."""

BOOTSTRAP_SEEDS = 5
"""Fewest paired values for which a bootstrap interval is given."""

_QUANTILES = 2_000
"""Points of the deviation's distribution that the power is averaged over."""

_DRAWS = 4_000
_CHUNK = 2_000_000
"""Values drawn at a time: for thousands of users all draws at once would take hundreds of MB."""


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
    if n < BOOTSTRAP_SEEDS or len({round(float(x), DIGITS) for x in sample}) == 1:
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
