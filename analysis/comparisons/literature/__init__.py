"""Values that papers reported, beside what we measured: facts as data, each with its source.

Sources (`reported_results.csv`, `reported_seconds_per_epoch.csv`):

- paper: W. Wang et al., Diffusion Recommender Model, SIGIR 2023.
- report, report-ltw: the reproduction report on it (learnable time weights: LTW).
- giffcf: the README of GiffCF.
- own-measurement: closed-form baselines measured by this project on the same splits.
"""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from analysis.study.labels import flat
from analysis.study.model import Cell, Study
from diffrec.config.preset_choice import PresetSource
from diffrec.config.presets import is_as_run_by, preset
from diffrec.evaluation.paired import Estimate, estimates
from tune_runner import schema

SOURCES = {
    "paper": "Wang et al., Diffusion Recommender Model, SIGIR 2023",
    "report": "reproduction report",
    "report-ltw": "reproduction report, learnable time weights",
    "giffcf": "GiffCF, README",
    "own-measurement": "measured by this project",
}
PRESET_OF_SOURCE: dict[str, PresetSource] = {
    "paper": "published",
    "report": "report",
    "report-ltw": "report",
}
"""Presets whose configurations a source's values belong to. Sources that are left out report
recommenders with one set of values."""

SAME_AS = {"RecencyEASE": ("EASE+exponential recency",)}
"""Names under which a variant of ours is reported elsewhere."""

_HOW = ("seed", "training.precision")
"""Values that say how a configuration was run, not which."""

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
    """Return a cell's values beside the reported ones of its variant, metric by metric.

    A source's values belong to its own configuration, so they stand beside a cell that ran it.
    """
    if study.tags.get("protocol", "published") != "published":
        return []
    names = (cell.variant, *SAME_AS.get(cell.variant, ()))
    samples = [list(cell.by_seed(f"test/{metric}").values()) for metric in METRICS]
    return [
        ReportedComparison(cell, row, metric, ours, row.values[metric])
        for row in reported()
        if row.model in names
        and row.dataset == study.dataset
        and ran_configuration_of(row.source, study, cell)
        for metric, ours in zip(METRICS, estimates(samples), strict=True)
        if ours.n
    ]


def ran_configuration_of(source: str, study: Study, cell: Cell, but: Collection[str] = ()) -> bool:
    """Return whether the cell has the configuration that the source's values belong to.

    Args:
        source: one of `SOURCES`.
        study: the cell's study, whose tags say where its presets come from.
        cell: its trials.
        but: dotted paths that may differ.
    """
    wanted = PRESET_OF_SOURCE.get(source)
    if wanted is None:
        return True
    if study.tags.get(schema.PRESET_OF, ""):
        return False
    own: PresetSource = "report" if study.tags.get(schema.PRESET) == "report" else "published"
    if not is_as_run_by(wanted, cell.variant, study.dataset, own):
        return False
    preset_values = flat(preset(cell.variant, study.dataset, source=own).config.to_dict())
    plan = study.space.get("plan", {}).get("overrides", {})
    changes = {**study.space.get("overrides", {}), **plan, **dict(cell.params)}
    return not any(
        path in preset_values and preset_values[path] != value
        for path, value in changes.items()
        if path not in (*_HOW, *but)
    )


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
