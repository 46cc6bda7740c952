"""Comparisons as a table: the difference, its intervals, the corrected p value and the verdict."""

import math
from collections.abc import Sequence

from analysis.comparisons.ablation import Comparison, p_text
from analysis.report_table import ReportTable
from analysis.study.labels import signed

COMPARISON_HEAD = ("difference", "95 % interval", "p (Holm)", "seeds", "verdict")
_NONE = "–"


def comparison_cells(comparison: Comparison | None) -> tuple[str, ...]:
    """Return the texts under `COMPARISON_HEAD`; None is two studies on different data."""
    if comparison is None:
        return (_NONE, _NONE, _NONE, _NONE, "other data")
    e = comparison.estimate
    mean, low, high = signed(e.mean, e.low, e.high)
    size = mean if e.n else _NONE
    if not math.isnan(comparison.relative):
        size += f"\n{comparison.relative:+.1%}"
    kept, of = comparison.averaged
    seeds = str(e.n) if kept == of else f"{e.n}\n{kept} of {of} pairs"
    if not e.is_known:
        return (size, _NONE, _NONE, seeds, comparison.verdict)
    return (
        size,
        f"{low} to {high}",
        p_text(comparison.adjusted_p).removeprefix("p = ").removeprefix("p "),
        seeds,
        comparison.verdict,
    )


def comparison_sheet(
    name: str, heading: str, found: Sequence[Comparison], note: str, *, unit: str = "seeds"
) -> ReportTable | None:
    """Return a family of comparisons as a table; None for an empty one.

    A bootstrap column stands beside Student's interval where any has seeds enough for one. `unit`
    is what is paired.
    """
    if not found:
        return None
    resampled = any(not math.isnan(c.bootstrapped[0]) for c in found)
    head = ["", "against", *(unit if name == "seeds" else name for name in COMPARISON_HEAD)]
    if resampled:
        head.insert(4, "95 % bootstrap")
    rows = []
    for comparison in found:
        row = [comparison.label, comparison.reference, *comparison_cells(comparison)]
        if resampled:
            mean, bounds = comparison.estimate.mean, comparison.bootstrapped
            _, low, high = signed(mean, *bounds)
            row.insert(4, _NONE if math.isnan(bounds[0]) else f"{low} to {high}")
        rows.append(tuple(row))
    return ReportTable(name, heading, tuple(head), tuple(rows), note)
