"""Estimates from few paired values, and what they show; ours, for ties and spreads of zero.

Student's t is exact for normal differences at every number of values, so verdicts rest on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Coverage of every interval; 1 - LEVEL is the error rate of every family of tests."""

DISTINCT = 3
"""Fewest distinct differences on which a verdict may rest: ties have no spread to judge by."""

DIGITS = 12
"""Decimals beyond which two values count as equal: they differ by rounding only."""

Array = NDArray[np.float64]
Verdict = Literal["better", "worse", "within noise", "the same", "unknown"]


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
        return self.distinct == 1 and round(self.mean, DIGITS) == 0

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
    distinct = [len({round(float(value), DIGITS) for value in sample}) for sample in samples]
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


def verdict(estimate: Estimate, p: float) -> Verdict:
    """Return what a mean difference shows, more being better.

    Args:
        estimate: of the differences.
        p: its p value of "there is no difference", corrected if it is one of several.
    """
    if estimate.is_same:
        return "the same"
    if not estimate.can_be_judged:
        return "unknown"
    if p > 1 - LEVEL:
        return "within noise"
    return "better" if estimate.mean > 0 else "worse"
