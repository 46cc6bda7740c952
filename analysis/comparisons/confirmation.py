"""Confirmation of the winner: it and its rival on fresh seeds that no selection has seen.

The best of many trials is partly the luckiest, so its value in the search flatters it. Trials with
the role `confirm` are kept out of the search's table and are used here alone.
"""

import math
from dataclasses import dataclass

from analysis.comparisons.ablation import Comparison, compare_family, noise_clause, paired
from analysis.report_table import ReportTable
from analysis.study.labels import label_of, number_text
from analysis.study.model import Cell, Study
from diffrec.evaluation.paired import LEVEL


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
    fresh = {_key(cell): cell for cell in study.confirmation_cells if cell.count("complete")}
    ranked = study.ranked()
    winner = fresh.pop(_key(ranked[0]), None) if ranked else None
    candidates = [study.control, *ranked[1:]]
    rivals = (fresh[_key(cell)] for cell in candidates if cell is not None and _key(cell) in fresh)
    rival = next(rivals, None)
    if winner is None or rival is None:
        return None
    (comparison,) = compare_family([paired(winner, rival, metric)])
    return Confirmation(winner, rival, comparison)


def confirmation_sentence(study: Study, result: Confirmation | None, name: str) -> str:
    """Return the answer in words; empty if no confirmation was begun.

    Args:
        study: the search with its confirmation trials.
        result: the comparison on fresh seeds.
        name: heading of the metric.
    """
    if result is None:
        return (
            "Fresh seeds were begun, but winner and rival have no result on them yet: nothing is "
            "confirmed."
            if study.confirmation_trials
            else ""
        )
    e = result.comparison.estimate
    subject = f"{result.comparison.label} against {result.comparison.reference}"
    if result.comparison.verdict == "unknown":
        return (
            f"On fresh seeds, {subject}: fewer than three different differences ({e.n} seeds in "
            "common), so nothing is confirmed."
        )
    size = f"{e.mean:+.4f} {name} ({e.n} fresh seeds)"
    if e.is_known:
        size = (
            f"{e.mean:+.4f} {name} ({LEVEL:.0%} interval {e.low:+.4f} to {e.high:+.4f}, "
            f"{e.n} fresh seeds)"
        )
    conclusion = {
        "better": "the winner is confirmed",
        "worse": "the winner is refuted, it is the worse of the two",
        "within noise": "the winner is not confirmed, the difference lies within noise",
        "the same": "the winner is not confirmed, both gave the same values",
    }[result.comparison.verdict]
    clause = noise_clause(result.comparison) if result.comparison.verdict == "within noise" else ""
    return f"On fresh seeds {conclusion}: {subject}, {size}{f'; {clause}' if clause else ''}."


def confirmation_table(study: Study, metric: str, name: str) -> ReportTable | None:
    """Return the confirmed cells: their values in the search and on fresh seeds."""
    if not study.confirmation_trials:
        return None
    key = study.best_objective
    searched = {_key(cell): cell for cell in study.cells}
    rows = []
    for cell in study.confirmation_cells:
        search_cell = searched.get(_key(cell))
        search_value = math.nan if search_cell is None else search_cell.mean(key)
        rows.append(
            (
                label_of(cell.params),
                number_text(search_value),
                number_text(cell.mean(key)),
                number_text(cell.mean(key) - search_value, "+.4f"),
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
