"""Interactions of factors: the difference that one makes, compared across levels of another.

For levels a of A and b of B, with references a0 and b0: (a, b) - (a0, b) - (a, b0) + (a0, b0),
within each seed. Zero means that the two add up. Its noise is that of four cells, twice that of a
paired difference, so with few seeds only large interactions can be seen.
"""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

from analysis.comparisons.ablation import (
    Comparison,
    PairedSample,
    average,
    compare_family,
    levels_of,
)
from analysis.study.labels import named_value
from analysis.study.model import Study

_Corner = tuple[str, str]


def interactions(study: Study, metric: str) -> list[Comparison]:
    """Return the interaction of every two levels of every two factors, one family of tests."""
    samples: list[PairedSample] = []
    for first, second in combinations([] if study.is_sampled else study.paths, 2):
        (ours, base), (theirs, other) = levels_of(study, first), levels_of(study, second)
        for a, b in product(ours, theirs):
            if a != base and b != other:
                samples.append(_pairs(study, metric, {first: (a, base), second: (b, other)}))
    return compare_family([pairs for pairs in samples if pairs.ours])


def _pairs(study: Study, metric: str, levels: Mapping[str, tuple[Any, Any]]) -> PairedSample:
    """Pair the joint change with the sum of the two single ones, averaged within a seed."""
    corners: dict[str, dict[_Corner, Mapping[int, float]]] = defaultdict(dict)
    for cell in study.cells:
        params = dict(cell.params)
        if all(path in params and params[path] in pair for path, pair in levels.items()):
            context = {path: value for path, value in params.items() if path not in levels}
            first, second = (repr(params[path]) for path in levels)
            corners[repr(context)][first, second] = cell.by_seed(metric)
    (a, a0), (b, b0) = ((repr(x), repr(y)) for x, y in levels.values())
    by_group: dict[str, dict[int, tuple[float, float]]] = {}
    for context, square in corners.items():
        if len(square) == 4:
            joint, first_only, second_only, neither = (
                square[a, b],
                square[a, b0],
                square[a0, b],
                square[a0, b0],
            )
            seeds = joint.keys() & first_only.keys() & second_only.keys() & neither.keys()
            by_group[context] = {
                s: (joint[s], first_only[s] + second_only[s] - neither[s]) for s in seeds
            }
    names = [named_value(path, pair[0], study.name_of(path)) for path, pair in levels.items()]
    return average(by_group, " with ".join(names), "the sum of both")
