"""Slope of the metric over a numeric factor: is more of it better or worse?

Within each seed one slope is fitted to all groups of cells that differ in nothing but the factor,
each group with a level of its own; a group with a wide range weighs more than one with a narrow
one. The mean slope over seeds is tested. A cell in which another parameter is inactive (one
cluster has no method) belongs to every group. A slope does not describe a bend.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

from analysis.comparisons.ablation import (
    Comparison,
    PairedSample,
    average,
    compare_family,
    noise_clause,
)
from analysis.comparisons.statistics import MARGIN
from analysis.study.labels import is_number, signed
from analysis.study.model import Study

_FEWEST = 3
"""Fewest levels for a slope; with fewer it is no more than a difference."""


def trends(study: Study, metric: str) -> list[Comparison]:
    """Return the slope per unit of every factor that is a number, one family of tests."""
    paths = [] if study.is_sampled else study.paths
    samples = [_slopes(study, metric, path) for path in paths if _is_number(study, path)]
    return compare_family([pairs for pairs in samples if pairs.ours])


def trend_sentence(comparison: Comparison, name: str) -> str:
    """Return a slope in words; empty if it has no verdict."""
    e, factor = comparison.estimate, comparison.factor
    if comparison.verdict == "unknown":
        return ""
    if comparison.verdict == "the same":
        return f"More {factor} changes nothing: {name} is the same at every level on each seed."
    mean, low, high = signed(e.mean, e.low, e.high, least=5)
    size = f"{mean} {name} per unit (95 % interval {low} to {high})"
    if comparison.verdict == "within noise":
        return (
            f"More {factor} changes nothing beyond noise: {size}, of {comparison.label}; "
            f"{noise_clause(comparison)}."
        )
    return f"More {factor} is {comparison.verdict}: {size}, of {comparison.label}."


def _slopes(study: Study, metric: str, path: str) -> PairedSample:
    """Return the slope of each seed, equivalent to none if the whole range changes `MARGIN`."""
    by_group: dict[str, dict[int, tuple[float, float]]] = {}
    levels, results = set[float](), list[float]()
    for i, cells in enumerate(_groups(study, path)):
        values = {level: cell.by_seed(metric) for level, cell in cells.items()}
        levels |= set(values)
        results += [value for by_seed in values.values() for value in by_seed.values()]
        # A seed that lacks a level would be fitted to another line than its neighbours.
        complete_seeds = set.intersection(*(set(by_seed) for by_seed in values.values()))
        by_group[str(i)] = {
            seed: _moments({level: by_seed[seed] for level, by_seed in values.items()})
            for seed in complete_seeds
        }
    factor = study.name_of(path).removeprefix("num_").replace("_", " ")
    label = f"{factor}, {min(levels):g} to {max(levels):g}" if levels else factor
    averaged = average(by_group, label, "slope 0", factor)
    slopes = tuple(xy / xx for xy, xx in zip(averaged.ours, averaged.theirs, strict=True))
    span = max(levels) - min(levels) if levels else 0.0
    margin = MARGIN * abs(fmean(results)) / span if span and results else 0.0
    return replace(averaged, ours=slopes, theirs=(0.0,) * len(slopes), margin=margin)


def _moments(values: Mapping[float, float]) -> tuple[float, float]:
    """Return S_xy and S_xx of values over levels; the least-squares slope is their ratio."""
    mean = fmean(values)
    deviations = {level: level - mean for level in values}
    return sum(deviations[x] * y for x, y in values.items()), sum(
        a * a for a in deviations.values()
    )


def _groups(study: Study, path: str) -> list[Mapping[float, Any]]:
    """Return cells by level, grouped so that no other active parameter differs within a group."""
    contexts = [{k: v for k, v in c.params if k != path} for c in study.cells]
    complete_contexts = {
        repr(sorted(o.items())): o for o in contexts if len(o) == max(map(len, contexts))
    }
    groups: list[Mapping[float, Any]] = []
    for complete in complete_contexts.values():
        cells: dict[float, Any] = {}
        for cell, context in zip(study.cells, contexts, strict=True):
            params = dict(cell.params)
            if path in params and cell.count("complete") and context.items() <= complete.items():
                cells[float(params[path])] = cell
        if len(cells) >= _FEWEST:
            groups.append(cells)
    return groups


def _is_number(study: Study, path: str) -> bool:
    values = [dict(cell.params)[path] for cell in study.cells if path in dict(cell.params)]
    return all(map(is_number, values))
