"""Is the winner really better? It and its rival on fresh seeds that no selection has seen.

The best of many trials is partly the luckiest, so its value in the search flatters it. Trials with
the role `confirm` are kept out of the search's table and answer here alone.
"""

import math
from dataclasses import dataclass

from analysis.comparisons.ablation import Comparison, compare_family, paired
from analysis.comparisons.statistics import LEVEL
from analysis.report_table import ReportTable
from analysis.study.labels import label_of
from analysis.study.model import Cell, Study


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The winner of the search and its rival, on the fresh seeds alone."""

    winner: Cell
    rival: Cell
    comparison: Comparison
    """Winner minus rival; one comparison, so nothing is corrected."""


def confirmation(study: Study, metric: str) -> Confirmation | None:
    """Return what the fresh seeds say of the search's winner; None where they say nothing of it.

    Its rival is the control, where that has run on fresh seeds, else the best of the others.
    """
    there = {_key(cell): cell for cell in study.confirmed if cell.count("complete")}
    ranked = study.ranked()
    winner = there.pop(_key(ranked[0]), None) if ranked else None
    others = [study.control, *ranked[1:]]
    rivals = (there[_key(cell)] for cell in others if cell is not None and _key(cell) in there)
    rival = next(rivals, None)
    if winner is None or rival is None:
        return None
    (comparison,) = compare_family([paired(winner, rival, metric)])
    return Confirmation(winner, rival, comparison)


def confirmation_sentence(study: Study, metric: str, name: str) -> str:
    """Return the answer in words; empty where no confirmation was begun."""
    found = confirmation(study, metric)
    if found is None:
        return (
            "Fresh seeds were begun, but winner and rival have no result on them yet: nothing is "
            "confirmed."
            if study.confirming
            else ""
        )
    e = found.comparison.estimate
    who = f"{found.comparison.label} against {found.comparison.reference}"
    if not e.is_known:
        return f"On fresh seeds, {who}: fewer than two seeds in common, so nothing is confirmed."
    size = (
        f"{e.mean:+.4f} {name} ({LEVEL:.0%} interval {e.low:+.4f} to {e.high:+.4f}, "
        f"{e.n} fresh seeds)"
    )
    said = {
        "better": "the winner is confirmed",
        "worse": "the winner is refuted, it is the worse of the two",
        "within noise": "the winner is not confirmed, the difference lies within noise",
    }[found.comparison.verdict]
    return f"On fresh seeds {said}: {who}, {size}."


def confirmation_sheet(study: Study, metric: str, name: str) -> ReportTable | None:
    """Return the confirmed cells: what the search saw of them, and what fresh seeds say."""
    if not study.confirming:
        return None
    key = study.best_objective
    searched = {_key(cell): cell for cell in study.cells}
    rows = []
    for cell in study.confirmed:
        before = searched.get(_key(cell))
        seen = math.nan if before is None else before.mean(key)
        rows.append(
            (
                label_of(cell.params),
                _number(seen),
                _number(cell.mean(key)),
                _number(cell.mean(key) - seen, "+"),
                _number(cell.mean(metric)),
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
    note = "A fall from the search to the fresh seeds is what being selected had flattered."
    return ReportTable("confirmation", "Is the winner really better?", head, tuple(rows), note)


def _key(cell: Cell) -> str:
    return repr(sorted(cell.params))


def _number(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else format(value, f"{sign}.4f")
