"""Ablation results: every cell against the control, every level against its reference.

All comparisons are paired by seed, so an effect that a seed has on all cells cancels. The tests of
one family share one error rate (Holm).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.comparisons.statistics import (
    MARGIN,
    POWER,
    bootstrap,
    detectable_difference,
    equivalence_p,
    holm,
)
from analysis.study.labels import named_value, signed, value_label
from analysis.study.model import Cell, Study
from diffrec.evaluation.paired import LEVEL, Estimate, Verdict, estimates, verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """Paired difference to a reference, in the metric's own unit, with its verdict."""

    label: str
    reference: str
    estimate: Estimate
    adjusted_p: float
    """Holm's p value of "there is no difference"."""

    relative: float
    """Mean difference as a share of the reference's mean over the same seeds."""

    verdict: Verdict
    factor: str = ""
    """Name of the parameter, if this is a main effect or a slope."""

    bootstrapped: tuple[float, float] = (math.nan, math.nan)
    """Bootstrap interval; NaN with too few values."""

    averaged: tuple[int, int] = (1, 1)
    """Number of pairs of cells averaged within a seed, and number of pairs that exist."""

    margin: float = math.nan
    """Difference below which both count as equivalent, in the metric's unit; NaN: not tested."""

    equivalence_p: float = math.nan
    """Holm's p value of "the difference is at least the margin" (TOST)."""

    tests: int = 1
    """Number of tests in the family."""

    @property
    def is_equivalent(self) -> bool:
        """True if the difference is shown to be smaller than the margin."""
        return self.equivalence_p <= 1 - LEVEL

    @property
    def detectable(self) -> float:
        """Smallest difference that these values would have shown with probability `POWER`."""
        return detectable_difference(self.estimate, self.tests)


@dataclass(frozen=True, slots=True)
class PairedSample:
    """Paired values of one comparison, before they are tested."""

    label: str
    reference: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    factor: str = ""
    averaged: tuple[int, int] = (1, 1)
    margin: float = math.nan
    """Margin of equivalence; NaN: `MARGIN` of the reference's mean."""


def against_control(study: Study, metric: str) -> list[Comparison]:
    """Return every other cell's paired difference to the control; empty without a control."""
    control = study.control
    if control is None:
        return []
    cells = (cell for cell in study.cells if not cell.is_control)
    return compare_family([paired(cell, control, metric) for cell in cells])


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
    samples: list[PairedSample] = []
    for path in [] if study.is_sampled else study.paths:
        levels, reference = levels_of(study, path)
        other_levels = (level for level in levels if level != reference)
        samples += [_level_pairs(study, metric, path, level, reference) for level in other_levels]
    return compare_family([pairs for pairs in samples if pairs.ours])


def compare_family(samples: Sequence[PairedSample]) -> list[Comparison]:
    """Return the comparisons of one family: estimates, Holm's p values, verdicts."""
    if not samples:
        return []
    differences = [[a - b for a, b in zip(p.ours, p.theirs, strict=True)] for p in samples]
    bases = [sum(p.theirs) / len(p.theirs) if p.theirs else math.nan for p in samples]
    margins = [
        MARGIN * abs(base) if math.isnan(p.margin) else p.margin
        for p, base in zip(samples, bases, strict=True)
    ]
    tested = estimates(differences)
    # What cannot be judged is no test, and must not cost the others.
    adjusted = holm([e.p if e.can_be_judged else math.nan for e in tested])
    equivalent = holm(equivalence_p(tested, margins))
    tests = sum(e.can_be_judged for e in tested)
    return [
        Comparison(
            pair.label,
            pair.reference,
            estimate,
            float(adjusted[i]),
            estimate.mean / bases[i] if bases[i] else math.nan,
            verdict(estimate, float(adjusted[i])),
            pair.factor,
            bootstrap(differences[i]),
            pair.averaged,
            margins[i],
            float(equivalent[i]),
            tests,
        )
        for i, (pair, estimate) in enumerate(zip(samples, tested, strict=True))
    ]


def is_judged(comparisons: Sequence[Comparison]) -> bool:
    """Return whether any comparison of a family has a verdict."""
    return any(c.verdict != "unknown" for c in comparisons)


def shows_difference(comparison: Comparison) -> bool:
    """Return whether a difference was shown."""
    return comparison.verdict in ("better", "worse")


def verdict_sentence(comparison: Comparison, metric: str) -> str:
    """Return a comparison in words; empty if it has no verdict."""
    e, c = comparison.estimate, comparison
    if c.verdict == "unknown":
        return ""
    if c.verdict == "the same":
        return f"{c.label} and {c.reference} gave the same {metric} on each of {e.n} seeds."
    share = "" if math.isnan(c.relative) else f"{c.relative:+.1%}, "
    mean, low, high = signed(e.mean, e.low, e.high)
    size = f"{mean} {metric} ({share}{LEVEL:.0%} interval {low} to {high})"
    if c.verdict == "within noise":
        return (
            f"{c.label} differs from {c.reference} within noise: {size}, {p_text(c.adjusted_p)}; "
            f"{noise_clause(c)}."
        )
    return f"{c.label} is {c.verdict} than {c.reference}: {size}, {p_text(c.adjusted_p)}."


def noise_clause(comparison: Comparison) -> str:
    """Return what "within noise" means here: equivalent, or what could have been shown."""
    if comparison.is_equivalent:
        return f"equivalent within {MARGIN:.0%}"
    size = signed(comparison.detectable)[0].lstrip("+")
    return f"not shown to be equivalent, and only differences from about {size} on could be shown"


def p_text(p: float) -> str:
    """Return a p value; a very small one only as such."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p > 0.1 else f"p = {p:.3f}"


DETECTABLE_NOTE = (
    f"Detectable: the smallest difference that would have been shown with {POWER:.0%} probability. "
    f"Equivalent: shown to be smaller than {MARGIN:.0%} of the reference (TOST, Holm)."
)


def levels_of(study: Study, path: str) -> tuple[list[Any], Any]:
    """Return a factor's levels in grid order and its reference: the control's, else the first."""
    levels: list[Any] = []
    for params in (dict(cell.params) for cell in study.cells):
        if path in params and params[path] not in levels:
            levels.append(params[path])
    control = dict(study.control.params) if study.control else {}
    return levels, control.get(path, levels[0] if levels else None)


def average(
    by_group: Mapping[str, Mapping[int, tuple[float, float]]],
    label: str,
    reference: str,
    factor: str = "",
) -> PairedSample:
    """Return the pairs of values by seed, averaged over the groups of cells that `by_group` holds.

    Every seed has to average the same groups, or their effects would mix into the noise. If a
    trial is missing, the largest balanced part is used: the seeds and groups, all with all, that
    keep the most pairs; of equal ones the one with more seeds.
    """
    nonempty = {group: values for group, values in by_group.items() if values}
    best: tuple[list[int], list[str]] = ([], [])
    for seed_set in {frozenset(values) for values in nonempty.values()}:
        for seeds in {seed_set & frozenset(values) for values in nonempty.values()}:
            groups = [group for group, values in nonempty.items() if seeds <= values.keys()]
            size = (len(seeds) * len(groups), len(seeds))
            if seeds and size > (len(best[0]) * len(best[1]), len(best[0])):
                best = (sorted(seeds), groups)
    seeds, groups = best
    ours, theirs = (
        tuple(sum(nonempty[group][seed][side] for group in groups) / len(groups) for seed in seeds)
        for side in (0, 1)
    )
    return PairedSample(label, reference, ours, theirs, factor, (len(groups), len(by_group)))


def _level_pairs(study: Study, metric: str, path: str, level: Any, reference: Any) -> PairedSample:
    sides: dict[str, dict[Any, Cell]] = defaultdict(dict)
    for cell in study.cells:
        params = dict(cell.params)
        if path in params and params[path] in (level, reference):
            context = {key: value for key, value in params.items() if key != path}
            sides[repr(context)][value_label(params[path])] = cell
    by_group: dict[str, dict[int, tuple[float, float]]] = {}
    for group, side in sides.items():
        our_cell, base_cell = side.get(value_label(level)), side.get(value_label(reference))
        if our_cell is not None and base_cell is not None:
            our_values, base_values = our_cell.by_seed(metric), base_cell.by_seed(metric)
            by_group[group] = {
                seed: (our_values[seed], base_values[seed])
                for seed in our_values.keys() & base_values.keys()
            }
    name = study.name_of(path)
    ours, theirs = (named_value(path, value, name) for value in (level, reference))
    return average(by_group, ours, theirs, name)
