"""Comparisons as a table: difference, intervals, corrected p value, detectable size, verdict."""

import math
from collections.abc import Sequence

from analysis.comparisons.ablation import Comparison, p_text
from analysis.comparisons.statistics import MARGIN
from analysis.report_table import ReportTable
from analysis.study.labels import NONE, signed

COMPARISON_HEAD = ("difference", "95 % interval", "p (Holm)", "detectable", "seeds", "verdict")


def comparison_cells(comparison: Comparison | None) -> tuple[str, ...]:
    """Return the texts under `COMPARISON_HEAD`; None stands for two studies on different data."""
    if comparison is None:
        return (*(NONE,) * (len(COMPARISON_HEAD) - 1), "other data")
    e = comparison.estimate
    mean, low, high = signed(e.mean, e.low, e.high)
    size = mean if e.n else NONE
    if not math.isnan(comparison.relative):
        size += f"\n{comparison.relative:+.1%}"
    used, of = comparison.averaged
    seeds = str(e.n) if used == of else f"{e.n}\n{used} of {of} pairs"
    if not e.can_be_judged:
        return (size, NONE, NONE, NONE, seeds, verdict_text(comparison))
    return (
        size,
        f"{low} to {high}",
        p_text(comparison.adjusted_p).removeprefix("p = ").removeprefix("p "),
        signed(comparison.detectable)[0].lstrip("+"),
        seeds,
        verdict_text(comparison),
    )


def verdict_text(comparison: Comparison) -> str:
    """Return the verdict, with equivalence on a second line or the reason why there is none."""
    if comparison.verdict == "within noise" and comparison.is_equivalent:
        return f"within noise\nequivalent (±{MARGIN:.0%})"
    if comparison.verdict == "the same":
        return "the same values"
    if comparison.verdict != "unknown":
        return comparison.verdict
    n = comparison.estimate.n
    reasons = {0: "no seed in common", 1: "one seed", 2: "two seeds"}
    return reasons.get(n, "too few distinct differences")


def comparison_table(
    name: str, heading: str, comparisons: Sequence[Comparison], note: str, *, unit: str = "seeds"
) -> ReportTable | None:
    """Return a family of comparisons as a table; None for an empty one.

    A bootstrap column stands beside Student's interval if any comparison has values enough for
    one. `unit` is what is paired.
    """
    if not comparisons:
        return None
    has_bootstrap = any(not math.isnan(c.bootstrapped[0]) for c in comparisons)
    head = ["", "against", *(unit if name == "seeds" else name for name in COMPARISON_HEAD)]
    if has_bootstrap:
        head.insert(4, "95 % bootstrap")
    rows = []
    for comparison in comparisons:
        row = [comparison.label, comparison.reference, *comparison_cells(comparison)]
        if has_bootstrap:
            _, low, high = signed(comparison.estimate.mean, *comparison.bootstrapped)
            has_interval = not math.isnan(comparison.bootstrapped[0])
            row.insert(4, f"{low} to {high}" if has_interval else NONE)
        rows.append(tuple(row))
    return ReportTable(name, heading, tuple(head), tuple(rows), note)
