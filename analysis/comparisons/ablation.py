"""An ablation as an object: every cell against the control, every level against its reference.

All comparisons are paired: the same seed stands on both sides, so what a seed does to all cells
alike drops out. A family of comparisons shares one error rate (Holm).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.comparisons.statistics import LEVEL, Estimate, bootstrap, estimates, holm
from analysis.study.labels import named_value, value_label
from analysis.study.model import Cell, Study

Verdict = Literal["better", "worse", "within noise", "unknown"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference to a reference, in the metric's own unit."""

    label: str
    reference: str
    estimate: Estimate
    adjusted_p: float
    relative: float
    """The mean difference as a share of the reference's mean over the same seeds."""

    verdict: Verdict
    factor: str = ""
    """The parameter, of a main effect."""

    bootstrapped: tuple[float, float] = (math.nan, math.nan)
    """The bootstrap's interval, where there are seeds enough for one."""

    averaged: tuple[int, int] = (1, 1)
    """How many pairs of cells are averaged within a seed, and of how many that there are."""


@dataclass(frozen=True, slots=True)
class PairedSample:
    """Paired values, before they are judged."""

    label: str
    reference: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    factor: str = ""
    averaged: tuple[int, int] = (1, 1)


def against_control(study: Study, metric: str) -> list[Comparison]:
    """Return every other cell's paired difference to the control; empty without a control."""
    control = study.control
    if control is None:
        return []
    others = (cell for cell in study.cells if not cell.is_control)
    return compare_family([paired(cell, control, metric) for cell in others])


def paired(cell: Cell, base: Cell, metric: str, *, factor: str = "") -> PairedSample:
    """Return the results of two cells for the seeds that both have."""
    ours, theirs = cell.by_seed(metric), base.by_seed(metric)
    seeds = sorted(ours.keys() & theirs.keys())
    return PairedSample(
        cell.label,
        base.label,
        tuple(ours[seed] for seed in seeds),
        tuple(theirs[seed] for seed in seeds),
        factor,
    )


def main_effects(study: Study, metric: str) -> list[Comparison]:
    """Return the mean paired difference of each level of each factor to the reference level.

    The reference is the control's level, else the first of the grid. Only cells that differ in
    nothing but the factor are paired; their differences are averaged within a seed first.
    """
    found: list[PairedSample] = []
    for path in [] if study.is_sampled else study.paths:
        levels, reference = levels_of(study, path)
        others = (level for level in levels if level != reference)
        found += [_level_pairs(study, metric, path, level, reference) for level in others]
    return compare_family([pairs for pairs in found if pairs.ours])


def verdict_sentence(comparison: Comparison, metric: str) -> str:
    """Return a comparison in words."""
    e, c = comparison.estimate, comparison
    if not e.is_known:
        seeds = "one seed" if e.n == 1 else "no seed"
        return f"{c.label} against {c.reference}: {seeds} in common, so nothing can be said."
    share = "" if math.isnan(c.relative) else f"{c.relative:+.1%}, "
    size = f"{e.mean:+.4f} {metric} ({share}{LEVEL:.0%} interval {_interval(e)})"
    if c.verdict == "within noise":
        return f"{c.label} differs from {c.reference} within noise: {size}, p = {c.adjusted_p:.2f}."
    return f"{c.label} is {c.verdict} than {c.reference}: {size}, {p_text(c.adjusted_p)}."


def p_text(p: float) -> str:
    """Return a p value; a very small one only as such."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:+.4f} to {estimate.high:+.4f}"


def compare_family(found: Sequence[PairedSample]) -> list[Comparison]:
    """Return the comparisons of one family: estimates, Holm's p values, verdicts."""
    samples = [[a - b for a, b in zip(p.ours, p.theirs, strict=True)] for p in found]
    judged = estimates(samples)
    adjusted = holm([estimate.p for estimate in judged]) if judged else []
    made = []
    for pairs, sample, estimate, p in zip(found, samples, judged, adjusted, strict=True):
        base = sum(pairs.theirs) / len(pairs.theirs) if pairs.theirs else float("nan")
        relative = estimate.mean / base if base else float("nan")
        made.append(
            Comparison(
                pairs.label,
                pairs.reference,
                estimate,
                float(p),
                relative,
                _verdict(estimate, float(p)),
                pairs.factor,
                bootstrap(sample),
                pairs.averaged,
            )
        )
    return made


def _verdict(estimate: Estimate, adjusted_p: float) -> Verdict:
    if not estimate.is_known:
        return "unknown"
    if adjusted_p > 1 - LEVEL:
        return "within noise"
    return "better" if estimate.mean > 0 else "worse"


def levels_of(study: Study, path: str) -> tuple[list[Any], Any]:
    """Return a factor's levels in grid order and its reference: the control's, else the first."""
    levels: list[Any] = []
    for params in (dict(cell.params) for cell in study.cells):
        if path in params and params[path] not in levels:
            levels.append(params[path])
    control = dict(study.control.params) if study.control else {}
    return levels, control.get(path, levels[0] if levels else None)


def average(
    found: Mapping[str, Mapping[int, tuple[float, float]]],
    label: str,
    reference: str,
    factor: str = "",
) -> PairedSample:
    """Return the pairs of values by seed, averaged over the groups of cells that `found` holds.

    Every seed has to average the same groups, else their effects would mix into the noise. So
    where a trial is missing the largest balanced part stands: the seeds and groups, all with all,
    that keep the most pairs; of equal ones that with more seeds.
    """
    there = {group: values for group, values in found.items() if values}
    best: tuple[list[int], list[str]] = ([], [])
    for wanted in {frozenset(values) for values in there.values()}:
        for seeds in {wanted & frozenset(values) for values in there.values()}:
            groups = [group for group, values in there.items() if seeds <= values.keys()]
            size = (len(seeds) * len(groups), len(seeds))
            if seeds and size > (len(best[0]) * len(best[1]), len(best[0])):
                best = (sorted(seeds), groups)
    seeds, groups = best
    ours, theirs = (
        tuple(sum(there[group][seed][side] for group in groups) / len(groups) for seed in seeds)
        for side in (0, 1)
    )
    return PairedSample(label, reference, ours, theirs, factor, (len(groups), len(found)))


def _level_pairs(study: Study, metric: str, path: str, level: Any, reference: Any) -> PairedSample:
    sides: dict[str, dict[Any, Cell]] = defaultdict(dict)
    for cell in study.cells:
        params = dict(cell.params)
        if path in params and params[path] in (level, reference):
            others = {key: value for key, value in params.items() if key != path}
            sides[repr(others)][value_label(params[path])] = cell
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for group, side in sides.items():
        one, other = side.get(value_label(level)), side.get(value_label(reference))
        if one is not None and other is not None:
            mine, base = one.by_seed(metric), other.by_seed(metric)
            found[group] = {seed: (mine[seed], base[seed]) for seed in mine.keys() & base.keys()}
    name = study.name_of(path)
    ours, theirs = (named_value(path, value, name) for value in (level, reference))
    return average(found, ours, theirs, name)
