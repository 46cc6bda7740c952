"""What the papers reported, beside what we measured: facts as data, each with its source.

Sources (`reported_results.csv`, `reported_seconds_per_epoch.csv`):

- paper: W. Wang et al., Diffusion Recommender Model, SIGIR 2023.
- report, report-ltw: the reproduction report on it (learnable time weights: LTW).
- giffcf: the README of GiffCF.
- own-measurement: closed-form baselines measured by this project on the same splits.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from analysis.statistics import Estimate, estimates
from analysis.study import Cell, Study
from analysis.summary import best_cells

SOURCES = {
    "paper": "Wang et al., Diffusion Recommender Model, SIGIR 2023",
    "report": "reproduction report",
    "report-ltw": "reproduction report, learnable time weights",
    "giffcf": "GiffCF, README",
    "own-measurement": "measured by this project",
}
METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")


@dataclass(frozen=True, slots=True)
class Reported:
    """One reported row."""

    source: str
    dataset: str
    model: str
    note: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Beside:
    """Our value of a metric beside a reported one."""

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
    def exceeds(self) -> bool | None:
        """Whether theirs lies outside our interval; None where we have one seed."""
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


def beside(study: Study) -> list[Beside]:
    """Return our values beside those reported for the same variant on the same dataset.

    Ours are the cells that stand for their variant: those that vary nothing else, else the
    control, else the best by validation.
    """
    return [row for cell in _representatives(study) for row in _rows(study, cell)]


def _rows(study: Study, cell: Cell) -> Iterator[Beside]:
    matching = [r for r in reported() if (r.model, r.dataset) == (cell.variant, study.dataset)]
    for row in matching:
        samples = [list(cell.by_seed(f"test/{metric}").values()) for metric in METRICS]
        for metric, ours in zip(METRICS, estimates(samples), strict=True):
            if ours.n:
                yield Beside(cell, row, metric, ours, row.values[metric])


def _representatives(study: Study) -> list[Cell]:
    if study.paths in ([], ["variant"]):
        return list(study.cells)
    if study.control is not None:
        return [study.control]
    return best_cells(study)[:1]
