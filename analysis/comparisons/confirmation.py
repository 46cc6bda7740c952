"""Confirmation of the winner: it and its rival on fresh seeds that no selection has seen.

The best of many trials is partly the luckiest, so its value in the search flatters it. Trials with
the role `confirm` are kept out of the search's table and are used here alone.
"""

import math
from dataclasses import dataclass

from analysis.comparisons.ablation import Comparison, compare_family, noise_clause, paired
from analysis.comparisons.statistics import LEVEL
from analysis.report_table import ReportTable
from analysis.study.labels import label_of, number_text
from analysis.study.model import Cell, Study


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Winner of the search and its rival, on the fresh seeds alone."""

    winner: Cell
    rival: Cell
    comparison: Comparison
    """Winner minus rival; one comparison, so nothing is corrected."""


def confirmation(study: Study, metric: str) -> Confirmation | None:
    """Return the comparison on fresh seeds; None unless winner and rival have a result on them.

    The rival is the control, if it has run on fresh seeds, else the best of the others.
    """
    there = {_key(cell): cell for cell in study.confirmation_cells if cell.count("complete")}
    ranked = study.ranked()
    winner = there.pop(_key(ranked[0]), None) if ranked else None
    others = [study.control, *ranked[1:]]
    rivals = (there[_key(cell)] for cell in others if cell is not None and _key(cell) in there)
    rival = next(rivals, None)
    if winner is None or rival is None:
        return None
    (comparison,) = compare_family([paired(winner, rival, metric)])
    return Confirmation(winner, rival, comparison)


def confirmation_sentence(study: Study, found: Confirmation | None, name: str) -> str:
    """Return the answer in words; empty if no confirmation was begun.

    Args:
        study: the search with its confirmation trials.
        found: the comparison on fresh seeds.
        name: heading of the metric.
    """
    if found is None:
        return (
            "Fresh seeds were begun, but winner and rival have no result on them yet: nothing is "
            "confirmed."
            if study.confirmation_trials
            else ""
        )
    e = found.comparison.estimate
    who = f"{found.comparison.label} against {found.comparison.reference}"
    if found.comparison.verdict == "unknown":
        return (
            f"On fresh seeds, {who}: fewer than three different differences ({e.n} seeds in "
            "common), so nothing is confirmed."
        )
    size = f"{e.mean:+.4f} {name} ({e.n} fresh seeds)"
    if e.is_known:
        size = (
            f"{e.mean:+.4f} {name} ({LEVEL:.0%} interval {e.low:+.4f} to {e.high:+.4f}, "
            f"{e.n} fresh seeds)"
        )
    said = {
        "better": "the winner is confirmed",
        "worse": "the winner is refuted, it is the worse of the two",
        "within noise": "the winner is not confirmed, the difference lies within noise",
        "the same": "the winner is not confirmed, both gave the same values",
    }[found.comparison.verdict]
    clause = noise_clause(found.comparison) if found.comparison.verdict == "within noise" else ""
    return f"On fresh seeds {said}: {who}, {size}{f'; {clause}' if clause else ''}."


def confirmation_table(study: Study, metric: str, name: str) -> ReportTable | None:
    """Return the confirmed cells: their values in the search and on fresh seeds."""
    if not study.confirmation_trials:
        return None
    key = study.best_objective
    searched = {_key(cell): cell for cell in study.cells}
    rows = []
    for cell in study.confirmation_cells:
        before = searched.get(_key(cell))
        seen = math.nan if before is None else before.mean(key)
        rows.append(
            (
                label_of(cell.params),
                number_text(seen),
                number_text(cell.mean(key)),
                number_text(cell.mean(key) - seen, "+.4f"),
                number_text(cell.mean(metric)),
                str(cell.num_seeds),
                str(len(cell.trials) - cell.count("complete")),
            )
        )
    head = (
        "cell",
        f"{study.objective} in the search",
        "on fresh seeds",
        "change",
        f"{name} on fresh seeds",
        "n",
        "not complete",
    )
    note = "A fall from the search to the fresh seeds is what selection had flattered."
    return ReportTable("confirmation", "Is the winner really better?", head, tuple(rows), note)


def _key(cell: Cell) -> str:
    return repr(sorted(cell.params))
