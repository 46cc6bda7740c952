"""The table of a study: a row for each cell, means and spreads over seeds, and what is missing."""

import math
from dataclasses import dataclass

from analysis.study import Cell, Study, short_path, value_label

TEST_METRICS = ("test/recall@10", "test/recall@20", "test/ndcg@10", "test/ndcg@20")
TOP = 10
"""Rows of a sampler study's table; more where it has more variants than that."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, columns, and the sentences that belong under them."""

    study: Study
    rows: tuple[Cell, ...]
    labels: tuple[str, ...]
    label_name: str
    metrics: tuple[str, ...]
    notes: tuple[str, ...]


def make_table(study: Study) -> Table:
    """Return the study's table: cells in grid order or, of a sampler's study, the best ten.

    Every variant that was sampled has a row, its best point, however far below the ten it lies.
    """
    metrics = (*TEST_METRICS, study.best_objective)
    if study.is_sampled:
        rows = tuple(_top(study))
        labels = tuple(f"{cell.trials[0].number:04d}" for cell in rows)
        name = "trial"
    else:
        rows = study.cells
        labels = tuple(grid_label(study, cell) for cell in rows)
        name = "·".join(map(short_path, study.paths)) or "cell"
    return Table(study, rows, labels, name, metrics, tuple(_notes(study, rows, labels)))


def title(metric: str) -> str:
    """Return a metric's heading: `test/recall@20` is `R@20`, a validation value `valid R@20`."""
    *_, split, name = metric.split("/")
    own = name.replace("recall", "R").replace("ndcg", "N")
    return own if split == "test" else f"{split} {own}"


def grid_label(study: Study, cell: Cell) -> str:
    """Return the values of a cell, a dash where a parameter has no meaning."""
    params = dict(cell.params)
    values = [value_label(params[path]) if path in params else "–" for path in study.paths]
    return "·".join(values) or "published"


def best_cells(study: Study) -> list[Cell]:
    """Return the cells that have results, the best mean of the objective first."""
    key, sign = study.best_objective, -1 if study.maximize else 1
    found = [cell for cell in study.cells if not math.isnan(cell.mean(key))]
    return sorted(found, key=lambda cell: (sign * cell.mean(key), cell.trials[0].number))


def state_sentence(study: Study) -> str:
    """Return how many trials have a result, and what became of the others."""
    complete, planned = study.count("complete"), study.planned
    states = ("running", "interrupted", "pruned", "failed")
    counts = {state: study.count(state) for state in states}
    counts["not begun"] = planned - len(study.trials)
    others = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    said = f"{complete} of {planned} trials complete"
    return (
        f"{said}; {planned - complete} missing: {others}." if others else f"{said}, none missing."
    )


def selection_sentence(study: Study) -> str:
    """Return what was selected on, and what the test metrics are."""
    most = "highest" if study.maximize else "lowest"
    return (
        f"Selection was on validation: stopping, pruning and ranking saw only {study.objective} "
        f"({most} is best). Test columns are scored once per trial, at its best validation epoch."
    )


def _notes(study: Study, rows: tuple[Cell, ...], labels: tuple[str, ...]) -> list[str]:
    notes = []
    if any(cell.is_control for cell in rows):
        notes.append("* marks the control, which the others are compared with.")
    if study.is_sampled:
        there = len(best_cells(study))
        each = ", each variant's best among them" if len({c.variant for c in rows}) > 1 else ""
        notes.append(
            f"The best {len(rows)} of {there} points with a result, by {study.objective}{each}:"
        )
        notes += [f"  {label}  {_values(c)}" for label, c in zip(labels, rows, strict=True)]
    spread = any(not math.isnan(cell.deviation(study.best_objective)) for cell in rows)
    notes.append(
        "Mean over the seeds of complete trials (n); ± is their sample standard deviation."
        if spread
        else "One seed for each row, so how much chance moves a value is unknown."
    )
    notes += [selection_sentence(study), state_sentence(study)]
    for cell in study.cells:
        epochs = cell.pruned_epochs()
        if epochs:
            at = ", ".join(map(str, epochs))
            plural = "s" if len(epochs) > 1 else ""
            notes.append(f"Pruned, without a result: {_place(study, cell)} at epoch{plural} {at}.")
    return notes


def _place(study: Study, cell: Cell) -> str:
    return f"trial {cell.trials[0].number:04d}" if study.is_sampled else grid_label(study, cell)


def _top(study: Study) -> list[Cell]:
    best = best_cells(study)
    of_variant: dict[str, Cell] = {}
    for cell in best:
        of_variant.setdefault(cell.variant, cell)
    leaders = list(of_variant.values())
    others = [cell for cell in best if cell not in leaders]
    kept = leaders + others[: max(0, TOP - len(leaders))]
    return [cell for cell in best if cell in kept]


def _values(cell: Cell) -> str:
    return ", ".join(f"{short_path(path)}={value_label(value)}" for path, value in cell.params)
