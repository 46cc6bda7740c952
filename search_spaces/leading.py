"""Leader of a study: the point with the best mean over its seeds, never the luckiest seed."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

Point = TypeVar("Point", bound=Hashable)


def by_mean(
    values: Mapping[Point, Sequence[float]], sort_key: Callable[[float], float]
) -> list[Point]:
    """Return the points that have values, the best mean first."""
    means = {point: fmean(seeds) for point, seeds in values.items() if seeds}
    return sorted(means, key=lambda point: sort_key(means[point]))


def leader(
    values: Mapping[Point, Sequence[float]],
    sort_key: Callable[[float], float],
    *,
    is_sampled: bool,
) -> Point | None:
    """Return the point with the best mean; None if there are no values.

    Args:
        values: results of each point, one for each seed.
        sort_key: gives the key by which the best value comes first.
        is_sampled: whether seeds beyond the first are spent on contenders only
            (`tune_runner.search.replicates`). Then only a point with as many seeds as any other can
            lead: one seed may be lucky. In a grid all cells get the same seeds.
    """
    most = max(map(len, values.values()), default=0) if is_sampled else 1
    candidates = {point: seeds for point, seeds in values.items() if len(seeds) >= most}
    return next(iter(by_mean(candidates, sort_key)), None)
