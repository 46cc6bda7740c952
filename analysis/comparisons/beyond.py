"""Metrics beyond accuracy of every cell, beside accuracy, each against the control."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.comparisons.ablation import Comparison, compare_family, paired
from analysis.report_table import ReportTable
from analysis.study.labels import NONE, signed
from analysis.study.metrics import BEYOND_METRICS, METRIC, title
from analysis.study.model import Cell, Study, cell_name
from search_spaces.objectives import best_direction

_ROWS = 10
"""Points of a sampled study that are shown: the best by validation."""

_NOTE = (
    "Test, lists of 20; mean over the seeds, ± their sample standard deviation. Less is better of "
    "{less}, more of the others. R short, middle, long: recall of the third of the users with the "
    "shortest, middle and longest history."
)

_DIFFERENCE_NOTE = (
    " Below: the mean difference to the control, paired by seed, with its verdict after Holm's "
    "correction within this table."
)


@dataclass(frozen=True, slots=True)
class BeyondComparison:
    """Difference of a cell to the control in one metric."""

    cell: Cell
    metric: str
    comparison: Comparison

    @property
    def verdict(self) -> str:
        """Verdict in which less is better where it is."""
        swapped = {"better": "worse", "worse": "better"}
        plain = self.comparison.verdict
        return swapped.get(plain, plain) if _is_less_better(self.metric) else plain


def beyond_control(study: Study) -> list[BeyondComparison]:
    """Return every other cell's difference to the control in each metric, as one family of tests.

    Empty without a control, or if the trials recorded no such metric.
    """
    control = study.control
    if control is None:
        return []
    pairs = [
        (cell, metric)
        for cell in study.cells
        if not cell.is_control
        for metric in _recorded(study)[1:]
    ]
    tested = compare_family([paired(cell, control, metric) for cell, metric in pairs])
    return [
        BeyondComparison(cell, metric, comparison)
        for (cell, metric), comparison in zip(pairs, tested, strict=True)
    ]


def beyond_table(study: Study, comparisons: Sequence[BeyondComparison]) -> ReportTable | None:
    """Return the cells with all metrics, and their differences to the control; None without any."""
    metrics = _recorded(study)
    if len(metrics) == 1:
        return None
    found = {(id(c.cell), c.metric): c for c in comparisons}
    cells = study.ranked()[:_ROWS] if study.is_sampled else study.cells
    rows = [
        (
            f"{cell_name(study, cell)}{' *' if cell.is_control else ''}",
            *(_text(cell, metric, found.get((id(cell), metric))) for metric in metrics),
        )
        for cell in cells
        if cell.num_seeds
    ]
    less = " and ".join(title(metric) for metric in metrics if _is_less_better(metric))
    note = _NOTE.format(less=less) + (_DIFFERENCE_NOTE if comparisons else "")
    head = ("cell", *map(title, metrics))
    return ReportTable("beyond_accuracy", "Beside accuracy", head, tuple(rows), note)


def _recorded(study: Study) -> list[str]:
    """Return accuracy, and those metrics that a trial recorded."""
    trials = [trial for trial in study.trials if trial.state == "complete"]
    known = [m for m in BEYOND_METRICS if any(m in trial.metrics for trial in trials)]
    return [METRIC, *known]


def _text(cell: Cell, metric: str, found: BeyondComparison | None) -> str:
    mean, deviation = cell.mean(metric), cell.deviation(metric)
    if math.isnan(mean):
        return NONE
    decimals = 4 if abs(mean) < 10 else 1
    text = f"{mean:.{decimals}f}"
    if not math.isnan(deviation):
        text += f" ± {deviation:.{decimals}f}"
    if found is None or not found.comparison.estimate.n:
        return text
    difference = signed(found.comparison.estimate.mean, least=decimals)[0]
    verdict = "" if found.verdict == "unknown" else f"\n{found.verdict}"
    return f"{text}\n{difference}{verdict}"


def _is_less_better(metric: str) -> bool:
    return best_direction(metric) == "minimize"
