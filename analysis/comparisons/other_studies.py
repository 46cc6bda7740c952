"""Other studies beside this one: cells that both have, compared; cells of theirs that we lack.

Two cells match when they are of one variant and agree on every parameter that either study varies,
as it was resolved where it was not searched. On one dataset they are paired by seed and tested, one
family for each other study. Across datasets or protocols nothing is tested: the numbers stand side
by side, and the row says so.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.comparisons.ablation import Comparison, PairedSample, compare_family, paired
from analysis.comparisons.literature import compare_cell_to_reported
from analysis.comparisons.patience import (
    PatienceEffect,
    patience_effects_beside,
    patience_sentences,
    patience_sheet,
)
from analysis.comparisons.table import COMPARISON_HEAD, comparison_cells
from analysis.report_table import ReportTable
from analysis.study.labels import short_path, value_label
from analysis.study.metrics import TEST_METRICS, title
from analysis.study.model import Cell, Study

_IGNORED = ("seed",)
_VARIANT = "variant"
_UNKNOWN = object()
"""A setting that was neither searched nor recorded; it is taken to be the same."""

_SHOWN = 3
"""Differences of configuration named in a row."""


@dataclass(frozen=True, slots=True)
class Match:
    """A cell of ours, one of theirs, and their comparison; None across datasets."""

    ours: Cell
    theirs: Cell
    differs: str
    comparison: Comparison | None


def is_comparable(study: Study, other: Study) -> bool:
    """Whether both studies scored the same interactions."""
    keys = ("dataset", "dataset_sha256", "protocol")
    return all(study.tags.get(key) == other.tags.get(key) for key in keys)


def shared_cells(study: Study, other: Study, metric: str) -> list[Match]:
    """Return every two matching cells; of a sampled study only each variant's best stands."""
    pairs = [
        (ours, theirs)
        for ours in _standing(study)
        for theirs in _standing(other)
        if _match(study, other, ours, theirs)
    ]
    compared: list[Comparison | None] = [None] * len(pairs)
    if is_comparable(study, other):
        compared = list(compare_family([paired(ours, theirs, metric) for ours, theirs in pairs]))
    return [
        Match(ours, theirs, _differs(ours, theirs), comparison)
        for (ours, theirs), comparison in zip(pairs, compared, strict=True)
    ]


def rows_we_lack(study: Study, other: Study, metric: str) -> list[tuple[Cell, Comparison | None]]:
    """Return each variant's best cell of theirs that this study has none of, beside our control.

    Without a control our best by validation stands for us.
    """
    own = {cell.variant for cell in study.cells}
    lacking = [cell for cell in other.leaders() if cell.variant not in own]
    base = study.control or next(iter(study.ranked()), None)
    if base is None or not is_comparable(study, other):
        return [(cell, None) for cell in lacking]
    found: list[PairedSample] = []
    for cell in lacking:
        name = cell.variant if len(cell.params) > 1 else cell.label
        found.append(replace(paired(cell, base, metric), label=name))
    return list(zip(lacking, compare_family(found), strict=True))


def against_sentences(study: Study, other: Study, metric: str, name: str) -> list[str]:
    """Return what the other study adds, in words."""
    said = []
    matches = shared_cells(study, other, metric)
    tested = [m.comparison for m in matches if m.comparison is not None]
    if tested:
        counts = {v: sum(c.verdict == v for c in tested) for v in ("better", "worse")}
        said.append(
            f"Beside {other.name}: of {len(tested)} shared cells ours are better in "
            f"{counts['better']}, worse in {counts['worse']}, the rest within noise or with too "
            f"few seeds ({name}, paired by seed, Holm)."
        )
    elif matches:
        said.append(
            f"Beside {other.name}: {len(matches)} shared cells, but on other data "
            f"({other.dataset}, {other.tags.get('protocol', 'unknown')} split), so none is tested."
        )
    said += patience_sentences(_waiting(study, other, matches))
    for cell, comparison in rows_we_lack(study, other, metric):
        if comparison is not None and comparison.verdict in ("better", "worse"):
            e = comparison.estimate
            said.append(
                f"{cell.variant} of {other.name} is {comparison.verdict} than "
                f"{comparison.reference} here: {e.mean:+.4f} {name} ({comparison.relative:+.1%})."
            )
    return said or [f"Beside {other.name}: it shares no cell and adds no variant with a result."]


def against_sheets(study: Study, other: Study, metric: str, name: str) -> Iterator[ReportTable]:
    """Yield the tables of the other study: shared cells, and variants that we lack."""
    where, matches = f"{other.name} ({other.dataset})", shared_cells(study, other, metric)
    head = ("cell here", "cell there", "what differs", f"{name} here", "there", *COMPARISON_HEAD)
    rows = [
        (
            match.ours.label,
            match.theirs.label,
            match.differs or "nothing",
            _spread(match.ours, metric),
            _spread(match.theirs, metric),
            *comparison_cells(match.comparison),
        )
        for match in matches
    ]
    if rows:
        note = "Difference: here minus there, paired by seed; 95 % Student interval, Holm."
        yield ReportTable(f"shared_{other.name}", f"Shared with {where}", head, tuple(rows), note)
    waited = patience_sheet(_waiting(study, other, matches), other.name)
    if waited is not None:
        yield waited
    lacking = [
        (
            f"{cell.variant}\n{cell.label}" if len(cell.params) > 1 else cell.label,
            *(_spread(cell, key) for key in TEST_METRICS),
            _reported(other, cell, metric),
            str(cell.num_seeds),
            *comparison_cells(comparison),
        )
        for cell, comparison in rows_we_lack(study, other, metric)
    ]
    if lacking:
        names = (*map(title, TEST_METRICS), f"{name} reported")
        head = ("best of each variant", *names, "n", *COMPARISON_HEAD)
        note = (
            f"Difference in {name} to this study's control, or to its best where it has none. "
            "Reported: by the literature, ours less that; ! marks one outside our 95 % interval."
        )
        yield ReportTable(f"rows_{other.name}", f"Beside them, {where}", head, tuple(lacking), note)


def _reported(study: Study, cell: Cell, metric: str) -> str:
    """Return what the literature reports of a cell's metric, a line for each source."""
    rows = [row for row in compare_cell_to_reported(study, cell) if f"test/{row.metric}" == metric]
    said = (f"{row.difference:+.4f}{'!' if row.exceeds else ''}" for row in rows)
    return "\n".join(
        f"{row.reported.source} {row.theirs:.4f} ({gap})"
        for row, gap in zip(rows, said, strict=True)
    )


def _waiting(study: Study, other: Study, matches: Sequence[Match]) -> list[PatienceEffect]:
    """Return what patience is worth where it alone differs between two matching cells."""
    if not is_comparable(study, other):
        return []
    return patience_effects_beside(((m.ours, m.theirs) for m in matches), study)


def _standing(study: Study) -> list[Cell]:
    cells = study.leaders() if study.is_sampled else study.cells
    return [cell for cell in cells if cell.count("complete")]


def _match(study: Study, other: Study, ours: Cell, theirs: Cell) -> bool:
    if ours.variant != theirs.variant:
        return False
    varied = {*study.paths, *other.paths}
    settings = ((_setting(ours, path), _setting(theirs, path)) for path in varied - {_VARIANT})
    return all(_UNKNOWN in pair or pair[0] == pair[1] for pair in settings)


def _setting(cell: Cell, path: str) -> Any:
    """Return a parameter's value: as it was searched, else as it was resolved."""
    params, config = dict(cell.params), cell.trials[0].config
    if path not in params and not config:
        return _UNKNOWN
    value = params[path] if path in params else config.get(path)
    return tuple(value) if isinstance(value, list) else value


def _differs(ours: Cell, theirs: Cell) -> str:
    """Return where configurations and code differ; says so where they were not recorded."""
    here, there = ours.trials[0].config, theirs.trials[0].config
    if not here or not there:
        return "not recorded"
    paths = [p for p in {**here, **there} if p not in _IGNORED and here.get(p) != there.get(p)]
    said = [
        f"{short_path(p)} {value_label(here.get(p))} / {value_label(there.get(p))}" for p in paths
    ]
    shown = said[:_SHOWN] + ([f"{len(said) - _SHOWN} more"] if said[_SHOWN:] else [])
    if ours.code != theirs.code:
        shown.append(f"code {ours.code or 'unrecorded'} / {theirs.code or 'unrecorded'}")
    return ", ".join(shown)


def _spread(cell: Cell, metric: str) -> str:
    mean, deviation = cell.mean(metric), cell.deviation(metric)
    if math.isnan(mean):
        return "–"
    return f"{mean:.4f}" + ("" if math.isnan(deviation) else f"\n±{deviation:.4f}")
