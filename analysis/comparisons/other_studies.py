"""Comparison with other studies: cells that both have, and variants that this study lacks.

Two cells match if they are of one variant and agree on every parameter that either study varies,
taken from the resolved configuration if it was not searched. On one dataset they are paired by seed
and tested, one family for each other study. Across datasets or protocols nothing is tested: the
numbers stand side by side, and the row says so.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.comparisons.ablation import (
    DETECTABLE_NOTE,
    Comparison,
    PairedSample,
    compare_family,
    paired,
    shows_difference,
)
from analysis.comparisons.literature import (
    ReportedComparison,
    compare_cell_to_reported,
    compare_to_reported,
)
from analysis.comparisons.patience import (
    PatienceEffect,
    patience_effects_beside,
    patience_sentences,
    patience_table,
)
from analysis.comparisons.table import COMPARISON_HEAD, comparison_cells
from analysis.report_table import ReportTable
from analysis.study.labels import NONE, hashable, short_path, value_label
from analysis.study.metrics import TEST_METRICS, title
from analysis.study.model import Cell, Study

_IGNORED = ("seed",)
_VARIANT = "variant"
_UNKNOWN = object()
"""Setting that was neither searched nor recorded; it is taken to be the same."""

_SHOWN = 3
"""Number of differing settings named in a row."""


@dataclass(frozen=True, slots=True)
class Match:
    """Pair of matching cells, ours and theirs, with their comparison; None across datasets."""

    ours: Cell
    theirs: Cell
    differs: str
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class StudyBeside:
    """Another study beside this one, everything about the two computed once."""

    study: Study
    """The other study."""

    matches: tuple[Match, ...]
    added: tuple[tuple[Cell, Comparison | None], ...]
    """Best cell of each variant that this study lacks, against this study's control."""

    patience: tuple[PatienceEffect, ...]
    """Effect of patience, for matching cells that differ in nothing else."""

    added_literature: tuple[tuple[ReportedComparison, ...], ...]
    """Reported values of each added cell."""

    literature: tuple[ReportedComparison, ...]
    """Reported values of the cells that stand for the other study's variants."""


def study_beside(study: Study, other: Study, metric: str) -> StudyBeside:
    """Return everything that another study adds to this one."""
    matches = shared_cells(study, other, metric)
    patience: list[PatienceEffect] = []
    if is_comparable(study, other):
        patience = patience_effects_beside(((m.ours, m.theirs) for m in matches), study)
    added = rows_we_lack(study, other, metric)
    reported = tuple(tuple(compare_cell_to_reported(other, cell)) for cell, _ in added)
    literature = tuple(compare_to_reported(other))
    return StudyBeside(other, tuple(matches), tuple(added), tuple(patience), reported, literature)


def is_comparable(study: Study, other: Study) -> bool:
    """Return whether both studies scored the same interactions."""
    keys = ("dataset", "dataset_sha256", "protocol")
    return all(study.tags.get(key) == other.tags.get(key) for key in keys)


def shared_cells(study: Study, other: Study, metric: str) -> list[Match]:
    """Return every two matching cells; a sampled study takes part with each variant's best."""
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
    our_variants = {cell.variant for cell in study.cells}
    new_cells = [cell for cell in other.best_per_variant() if cell.variant not in our_variants]
    base = study.control or next(iter(study.ranked()), None)
    if base is None or not is_comparable(study, other):
        return [(cell, None) for cell in new_cells]
    samples: list[PairedSample] = []
    for cell in new_cells:
        name = cell.variant if len(cell.params) > 1 else cell.label
        samples.append(replace(paired(cell, base, metric), label=name))
    return list(zip(new_cells, compare_family(samples), strict=True))


def sentences_beside(beside: StudyBeside, name: str) -> list[str]:
    """Return what the other study adds, in words.

    Args:
        beside: the other study.
        name: heading of the metric.
    """
    sentences, other, matches = [], beside.study, beside.matches
    tested = [m.comparison for m in matches if m.comparison is not None]
    if tested:
        counts = {v: sum(c.verdict == v for c in tested) for v in ("better", "worse")}
        sentences.append(
            f"Beside {other.name}: of {len(tested)} shared cells ours are better in "
            f"{counts['better']}, worse in {counts['worse']}, the rest within noise or with too "
            f"few seeds ({name}, paired by seed, Holm)."
        )
    elif matches:
        sentences.append(
            f"Beside {other.name}: {len(matches)} shared cells, but on other data "
            f"({other.dataset}, {other.tags.get('protocol', 'unknown')} split), so none is tested."
        )
    sentences += patience_sentences(beside.patience)
    for cell, comparison in beside.added:
        if comparison is not None and shows_difference(comparison):
            e = comparison.estimate
            sentences.append(
                f"{cell.variant} of {other.name} is {comparison.verdict} than "
                f"{comparison.reference} here: {e.mean:+.4f} {name} ({comparison.relative:+.1%})."
            )
    return sentences or [
        f"Beside {other.name}: it shares no cell and adds no variant with a result."
    ]


def tables_beside(beside: StudyBeside, metric: str, name: str) -> Iterator[ReportTable]:
    """Yield the tables of the other study: shared cells, and variants that we lack."""
    other = beside.study
    other_title = f"{other.name} ({other.dataset})"
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
        for match in beside.matches
    ]
    if rows:
        note = (
            "Difference: here minus there, paired by seed; 95 % Student interval, Holm. "
            f"{DETECTABLE_NOTE}"
        )
        yield ReportTable(
            f"shared_{other.name}", f"Shared with {other_title}", head, tuple(rows), note
        )
    patience = patience_table(beside.patience, other.name)
    if patience is not None:
        yield patience
    added = [
        (
            f"{cell.variant}\n{cell.label}" if len(cell.params) > 1 else cell.label,
            *(_spread(cell, key) for key in TEST_METRICS),
            _reported(reported, metric),
            str(cell.num_seeds),
            *comparison_cells(comparison),
        )
        for (cell, comparison), reported in zip(beside.added, beside.added_literature, strict=True)
    ]
    if added:
        names = (*map(title, TEST_METRICS), f"{name} reported")
        head = ("best of each variant", *names, "n", *COMPARISON_HEAD)
        note = (
            f"Difference in {name} to this study's control, or to its best if it has none. "
            "Reported: by the literature, ours less that; ! marks one outside our 95 % interval."
        )
        yield ReportTable(
            f"rows_{other.name}", f"Beside them, {other_title}", head, tuple(added), note
        )


def _reported(reported: Sequence[ReportedComparison], metric: str) -> str:
    """Return what the literature reports for a metric, a line for each source."""
    rows = [row for row in reported if f"test/{row.metric}" == metric]
    return "\n".join(
        f"{row.reported.source} {row.theirs:.4f} "
        f"({row.difference:+.4f}{'!' if row.exceeds else ''})"
        for row in rows
    )


def _standing(study: Study) -> list[Cell]:
    cells = study.best_per_variant() if study.is_sampled else study.cells
    return [cell for cell in cells if cell.count("complete")]


def _match(study: Study, other: Study, ours: Cell, theirs: Cell) -> bool:
    if ours.variant != theirs.variant:
        return False
    varied = {*study.paths, *other.paths}
    settings = ((_setting(ours, path), _setting(theirs, path)) for path in varied - {_VARIANT})
    return all(_UNKNOWN in pair or pair[0] == pair[1] for pair in settings)


def _setting(cell: Cell, path: str) -> Any:
    """Return a parameter's value: the searched one, else the resolved one."""
    params, config = dict(cell.params), cell.trials[0].config
    if path not in params and not config:
        return _UNKNOWN
    return hashable(params[path] if path in params else config.get(path))


def _differs(ours: Cell, theirs: Cell) -> str:
    """Return where configurations and code differ, or that they were not recorded."""
    our_config, their_config = ours.trials[0].config, theirs.trials[0].config
    if not our_config or not their_config:
        return "not recorded"
    paths = [
        p
        for p in {**our_config, **their_config}
        if p not in _IGNORED and our_config.get(p) != their_config.get(p)
    ]
    differences = [
        f"{short_path(p)} {value_label(our_config.get(p))} / {value_label(their_config.get(p))}"
        for p in paths
    ]
    shown = differences[:_SHOWN] + (
        [f"{len(differences) - _SHOWN} more"] if differences[_SHOWN:] else []
    )
    if ours.code != theirs.code:
        shown.append(f"code {ours.code or 'unrecorded'} / {theirs.code or 'unrecorded'}")
    return ", ".join(shown)


def _spread(cell: Cell, metric: str) -> str:
    mean, deviation = cell.mean(metric), cell.deviation(metric)
    if math.isnan(mean):
        return NONE
    return f"{mean:.4f}" + ("" if math.isnan(deviation) else f"\n±{deviation:.4f}")
