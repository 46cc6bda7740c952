"""Values that papers reported, beside what we measured: facts as data, each with its source.

Sources (`reported_results.csv`, `reported_seconds_per_epoch.csv`):

- paper: W. Wang et al., Diffusion Recommender Model, SIGIR 2023.
- report, report-ltw: the reproduction report on it (learnable time weights: LTW).
- giffcf: the README of GiffCF.
- own-measurement: closed-form baselines measured by this project on the same splits.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from analysis.comparisons.statistics import Estimate, estimates
from analysis.study.model import Cell, Study

SOURCES = {
    "paper": "Wang et al., Diffusion Recommender Model, SIGIR 2023",
    "report": "reproduction report",
    "report-ltw": "reproduction report, learnable time weights",
    "giffcf": "GiffCF, README",
    "own-measurement": "measured by this project",
}
SAME_AS = {
    "DiffRec+learned_steps": ("T-DiffRec+LTW",),
    "L-DiffRec+learned_steps": ("LT-DiffRec+LTW",),
    "RecencyEASE": ("EASE+exponential recency",),
}
"""Names under which a variant of ours is reported elsewhere."""

METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")


@dataclass(frozen=True, slots=True)
class Reported:
    """Row of reported values, one per metric."""

    source: str
    dataset: str
    model: str
    note: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class ReportedComparison:
    """Value of ours beside a reported one, for one metric."""

    cell: Cell
    reported: Reported
    metric: str
    ours: Estimate
    theirs: float

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours.mean - self.theirs

    @property
    def elsewhere(self) -> str:
        """Name that the source has for our variant, in words to append; empty if the same."""
        return "" if self.reported.model == self.cell.variant else f" of its {self.reported.model}"

    @property
    def exceeds(self) -> bool | None:
        """True if theirs lies outside our interval; None if we have no interval."""
        if not self.ours.is_known:
            return None
        return not self.ours.low <= self.theirs <= self.ours.high


@cache
def reported() -> tuple[Reported, ...]:
    """Return every reported row."""
    with (files(__name__) / "reported_results.csv").open(encoding="utf-8") as file:
        return tuple(
            Reported(
                row["source"],
                row["dataset"],
                row["model"],
                row["note"],
                {metric: float(row[metric]) for metric in METRICS},
            )
            for row in csv.DictReader(file)
        )


def compare_to_reported(study: Study) -> list[ReportedComparison]:
    """Return our values beside those reported for the same variant on the same dataset.

    Ours are the cells that stand for their variant: the control, else the best by validation. Only
    the published split is the literature's; on another none is comparable.
    """
    return [row for cell in representatives(study) for row in compare_cell_to_reported(study, cell)]


def compare_cell_to_reported(study: Study, cell: Cell) -> list[ReportedComparison]:
    """Return a cell's values beside the reported ones of its variant, metric by metric."""
    if study.tags.get("protocol", "published") != "published":
        return []
    names = (cell.variant, *SAME_AS.get(cell.variant, ()))
    samples = [list(cell.by_seed(f"test/{metric}").values()) for metric in METRICS]
    return [
        ReportedComparison(cell, row, metric, ours, row.values[metric])
        for row in reported()
        if row.model in names and row.dataset == study.dataset
        for metric, ours in zip(METRICS, estimates(samples), strict=True)
        if ours.n
    ]


def representatives(study: Study) -> list[Cell]:
    """Return the cell that stands for each variant: the control, else the best by validation."""
    control = study.control
    if control is None or not control.count("complete"):
        return study.best_per_variant()
    return [
        control,
        *(cell for cell in study.best_per_variant() if cell.variant != control.variant),
    ]


@cache
def reported_seconds() -> dict[tuple[str, str], float]:
    """Return the report's seconds per epoch by variant and dataset."""
    with (files(__name__) / "reported_seconds_per_epoch.csv").open(encoding="utf-8") as file:
        return {
            (row["method"], row["dataset"]): float(row["seconds_per_epoch"])
            for row in csv.DictReader(file)
        }
