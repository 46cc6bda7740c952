"""Effect of a longer patience, beside the reproduction report's claim of +32.9 %."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.comparisons.literature import ran_configuration_of
from analysis.report_table import ReportTable
from analysis.study.labels import NONE, label_of
from analysis.study.metrics import TEST_METRICS
from analysis.study.model import SEED, Cell, Study
from diffrec.evaluation.paired import LEVEL, Estimate, estimates

PATH = "training.patience"

CLAIM = 0.329
"""Mean rise of the four metrics on ML-1M clean from patience 20 to 200 (reproduction report).

Its R@10 rises from 5.6 to 9.3 %: of its variants only L-DiffRec, as its scripts configure it,
starts there (docs/science/verdicts.md).
"""

CLAIM_VARIANT = "L-DiffRec"


@dataclass(frozen=True, slots=True)
class PatienceEffect:
    """Mean relative change of the four test metrics from the shortest patience to the longest."""

    label: str
    short: int
    long: int
    change: Estimate
    """Change as a share of the value at the short patience, over paired seeds."""

    claimable: bool
    """True if the claim is about this: L-DiffRec as the report configured it (`--preset report`),
    on ML-1M clean as published, 20 against 200."""

    code: tuple[str, str]
    """Commits that trained the short and the long runs."""

    is_beginning: bool
    """True if each short run is the beginning of its long one, to the bit."""

    @property
    def is_same(self) -> bool:
        """True if no run trained any longer: the four metrics are equal on every seed."""
        return self.change.is_zero


def patience_effects(study: Study) -> list[PatienceEffect]:
    """Return the effect for all that was run with more than one patience; one row for each."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in study.cells:
        params = dict(cell.params)
        if PATH in params and cell.count("complete"):
            context = {path: value for path, value in params.items() if path != PATH}
            groups[label_of(tuple(context.items())) if context else cell.variant].append(cell)
    effects = []
    for label, cells in groups.items():
        by_patience = {dict(cell.params)[PATH]: cell for cell in cells}
        if len(by_patience) > 1:
            effects.append(_effect(label, by_patience, study))
    return effects


def patience_effects_beside(
    pairs: Iterable[tuple[Cell, Cell]], study: Study
) -> list[PatienceEffect]:
    """Return the effect for cells of two studies that differ in nothing but patience.

    Args:
        pairs: matching cells with their configurations and curves.
        study: one of the two; both are on its dataset.
    """
    effects = []
    for one, other in pairs:
        cells = {p: cell for cell in (one, other) if (p := _patience(cell)) is not None}
        if len(cells) == 2 and _but_patience(one) == _but_patience(other):
            label = one.label if len(one.params) > 1 else one.variant
            effect = _effect(label, cells, study)
            if effect.change.n:  # else they have no seed in common
                effects.append(effect)
    return effects


def patience_sentences(effects: Sequence[PatienceEffect]) -> list[str]:
    """Return what a longer patience changed, beside the report's claim where it applies."""
    sentences = []
    for effect in effects:
        e = effect.change
        seeds = "the one seed" if e.n == 1 else f"each of {e.n} seeds"
        sentence = f"Patience {effect.long} instead of {effect.short} epochs "
        if effect.is_same:
            sentence += (
                f"gave the same runs of {effect.label}: on {seeds} the four test metrics are "
                "equal, so no run was stopped by the shorter patience before its best epoch"
            )
        else:
            sentence += f"changed {effect.label}'s four test metrics by {e.mean:+.1%}"
            sentence += " on average" if e.n > 1 else " on the one seed"
            sentence += (
                f" ({LEVEL:.0%} interval {e.low:+.1%} to {e.high:+.1%})" if e.is_known else ""
            )
        if effect.claimable:
            position = "inside" if e.is_known and e.low <= CLAIM <= e.high else "outside"
            position_clause = f", {position} our interval" if e.is_known else ""
            sentence += f"; the reproduction report says {CLAIM:+.1%}{position_clause}"
        if effect.is_beginning and not effect.is_same:
            sentence += (
                "; on validation the shorter runs are the longer ones' beginnings to the bit"
            )
        if effect.code[0] != effect.code[1]:
            short, long = (code or "unrecorded" for code in effect.code)
            sentence += (
                f"; the commits differ ({effect.short} epochs: commit {short}; "
                f"{effect.long}: {long})"
            )
        sentences.append(f"{sentence}.")
    return sentences


def patience_table(effects: Sequence[PatienceEffect], beside: str = "") -> ReportTable | None:
    """Return the effect of patience as a table; None if patience did not differ.

    Args:
        effects: a row each.
        beside: name of the other study, if the two levels come from two studies.
    """
    rows = [
        (
            effect.label,
            f"{effect.short} → {effect.long}",
            f"{effect.change.mean:+.1%}" if effect.change.n else NONE,
            _interval(effect),
            str(effect.change.n),
            f"{CLAIM:+.1%}" if effect.claimable else NONE,
        )
        for effect in effects
    ]
    if not rows:
        return None
    name, title_end = (f"patience_{beside}", f", with {beside}") if beside else ("patience", "")
    head = ("variant", "patience", "mean change", "95 % interval", "seeds", "report")
    note = "Mean over the four test metrics of the relative change, within each seed."
    return ReportTable(
        name, f"What does a longer patience change{title_end}?", head, tuple(rows), note
    )


def _interval(effect: PatienceEffect) -> str:
    e = effect.change
    if effect.is_same:
        return "the same runs"
    return f"{e.low:+.1%} to {e.high:+.1%}" if e.is_known else NONE


def _effect(label: str, cells: Mapping[int, Cell], study: Study) -> PatienceEffect:
    """Compare the shortest patience of `cells` with the longest."""
    shortest, longest = min(cells), max(cells)
    short, long = cells[shortest], cells[longest]
    (change,) = estimates([_changes(short, long)])
    published = study.tags.get("protocol", "published") == "published"
    claimable = (
        published
        and (study.dataset, shortest, longest) == ("ml-1m_clean", 20, 200)
        and long.variant == CLAIM_VARIANT
        and ran_configuration_of("report", study, long, but=(PATH,))
    )
    is_beginning = _is_beginning(short, long, study.objective)
    return PatienceEffect(
        label, shortest, longest, change, claimable, (short.code, long.code), is_beginning
    )


def _is_beginning(short: Cell, long: Cell, metric: str) -> bool:
    """Return whether every short run is the start of its long one, to the bit, on all seeds."""
    curves = [
        {t.seed: t.curves.get(metric, {}) for t in cell.trials if t.state == "complete"}
        for cell in (short, long)
    ]
    seeds = set(curves[0]) & set(curves[1])
    starts_alike = [curves[0][seed].items() <= curves[1][seed].items() for seed in seeds]
    return all(starts_alike) and any(curves[0][seed] for seed in seeds)


def _patience(cell: Cell) -> int | None:
    return cell.trials[0].config.get(PATH)


def _but_patience(cell: Cell) -> dict[str, Any]:
    return {p: v for p, v in cell.trials[0].config.items() if p not in (PATH, SEED)}


def _changes(short: Cell, long: Cell) -> list[float]:
    """Return the mean relative change of the four metrics for each seed that both have."""
    before = [short.by_seed(metric) for metric in TEST_METRICS]
    after = [long.by_seed(metric) for metric in TEST_METRICS]
    seeds = set.intersection(*(set(values) for values in (*before, *after)))
    return [
        sum(b[seed] / a[seed] - 1 for a, b in zip(before, after, strict=True)) / len(before)
        for seed in sorted(seeds)
        if all(a[seed] for a in before)
    ]
