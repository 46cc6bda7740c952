"""Table of a study's cells: means and deviations over seeds, and what is missing."""

import math
import re
from dataclasses import dataclass

from analysis.comparisons.literature import ReportedComparison
from analysis.results import Results
from analysis.study.metrics import TEST_METRICS
from analysis.study.model import Cell, Study, cell_name, values_of

_BY_TIME = re.compile(r"^L?T-|^L?F-|\+|^Recency|^Directed")
"""Variants that weigh interactions by time, or forecast."""

_FEW = 6
"""Most pruned cells that are named one by one."""

TOP = 10
"""Rows of a sampled study's table; more if it has more variants than that."""


@dataclass(frozen=True, slots=True)
class SummaryTable:
    """Rows and columns of the table of cells, and the sentences under it."""

    study: Study
    rows: tuple[Cell, ...]
    labels: tuple[str, ...]
    label_name: str
    metrics: tuple[str, ...]
    notes: tuple[str, ...]
    reported: tuple[tuple[ReportedComparison, ...], ...]
    """Values that the literature reports, for each row."""


def summary_table(results: Results) -> SummaryTable:
    """Return the table: cells in grid order or, for a sampled study, the best ten points.

    Every variant that was sampled has a row, its best point, however far below the ten it lies.
    """
    study = results.study
    metrics = (*TEST_METRICS, *(f"best/{name}" for name in study.goals.metrics))
    if study.is_sampled:
        rows = tuple(_top(study))
        labels = tuple(f"{cell.trials[0].number:04d}" for cell in rows)
        name = "trial"
    else:
        rows = study.cells
        labels = tuple(cell.label for cell in rows)
        name = "·".join(map(study.name_of, study.paths))
        name = name if 0 < len(name) <= max(map(len, labels), default=0) else "cell"
    reported = tuple(tuple(r for r in results.literature if r.cell is cell) for cell in rows)
    notes = [*_notes(study, rows, labels), *_literature_notes(reported)]
    return SummaryTable(study, rows, labels, name, metrics, tuple(notes), reported)


def state_sentence(study: Study) -> str:
    """Return how many trials have a result, and the states of the others."""
    complete, planned = study.count("complete"), study.planned
    states = ("running", "interrupted", "pruned", "failed")
    counts = {state: study.count(state) for state in states}
    counts["not begun"] = planned - len(study.trials)
    other_states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    summary = f"{complete} of {planned} trials complete"
    return (
        f"{summary}; {planned - complete} missing: {other_states}."
        if other_states
        else f"{summary}, none missing."
    )


def selection_sentence(study: Study) -> str:
    """Return what trials were selected by, and what the test columns are."""
    constraint = study.goals.constraint
    judged = " and ".join(
        f"{one.name} ({'highest' if one.direction == 'maximize' else 'lowest'} is best)"
        for one in study.goals.objectives
    )
    bound = (
        "" if constraint is None else f", among what meets the bound of {constraint.metric.name}"
    )
    return (
        f"Selection was on validation: stopping, pruning and ranking saw only {judged}{bound}. "
        "Test columns are scored once per trial, at its best validation epoch."
    )


def split_note(study: Study) -> str:
    """Return what the split does to recency, if a cell weighs by time; empty where it is nothing.

    On the released ML-1M lists test follows train at once, which chronological order does not.
    """
    is_published = study.tags.get("protocol", "published") == "published"
    weighs = any(_BY_TIME.search(cell.variant) for cell in study.cells)
    if not (is_published and weighs and study.dataset.startswith("ml-1m_")):
        return ""
    return (
        "Published split: test follows train at once and valid lies after it, so what weighs "
        "recent interactions more gains more here than in time order; run the study with "
        "--protocol chronological, too."
    )


def _notes(study: Study, rows: tuple[Cell, ...], labels: tuple[str, ...]) -> list[str]:
    notes = []
    if not study.is_sampled and len(study.paths) > 1:
        notes.append(f"A cell: {' · '.join(map(study.name_of, study.paths))}.")
    if any(cell.is_control for cell in rows):
        notes.append("* marks the control, which the others are compared with.")
    if study.is_sampled:
        num_points = len(study.ranked())
        variant_note = (
            ", each variant's best among them" if len({c.variant for c in rows}) > 1 else ""
        )
        notes.append(
            f"The best {len(rows)} of {num_points} points with a result, by {study.objective}"
            f"{variant_note}:"
        )
        notes += [
            f"  {label}  {values_of(study, c.params)}"
            for label, c in zip(labels, rows, strict=True)
        ]
    has_deviation = any(not math.isnan(cell.deviation(study.best_objective)) for cell in rows)
    notes.append(
        "Mean over the seeds of complete trials (n); ± is their sample standard deviation."
        if has_deviation
        else "One seed for each row, so how much chance moves a value is unknown."
    )
    notes += [selection_sentence(study), split_note(study), state_sentence(study)]
    if study.count("pruned"):
        notes.append(f"Pruned, without a result: {_pruned(study)}.")
    return [note for note in notes if note]


def _pruned(study: Study) -> str:
    cells = [cell for cell in study.cells if cell.count("pruned")]
    if len(cells) > _FEW:
        epochs = sorted(epoch for cell in cells for epoch in cell.pruned_epochs())
        return f"{len(epochs)} trials, at epochs {epochs[0]} to {epochs[-1]}"
    phrases = []
    for cell in cells:
        epochs = cell.pruned_epochs()
        epoch_list = ", ".join(map(str, epochs))
        phrases.append(
            f"{cell_name(study, cell)} at epoch{'s' if len(epochs) > 1 else ''} {epoch_list}"
        )
    return ", ".join(phrases)


def _literature_notes(reported: tuple[tuple[ReportedComparison, ...], ...]) -> list[str]:
    if not any(reported):
        return []
    return [
        "Under a row, what the literature reports of its variant and our difference to that; "
        "! marks one outside our 95 % interval (one seed has none)."
    ]


def _top(study: Study) -> list[Cell]:
    best, variant_bests = study.ranked(), study.best_per_variant()
    other_cells = [cell for cell in best if cell not in variant_bests]
    shown = variant_bests + other_cells[: max(0, TOP - len(variant_bests))]
    return [cell for cell in best if cell in shown]
