"""All that a report says of a study: its table, the answer in sentences, and every other table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.comparisons.ablation import against_control, main_effects
from analysis.comparisons.confirmation import confirmation_sheet
from analysis.comparisons.factor_interactions import interactions
from analysis.comparisons.literature import SOURCES, compare_to_reported
from analysis.comparisons.other_studies import against_sentences, against_sheets
from analysis.comparisons.patience import patience_effects, patience_sheet
from analysis.comparisons.per_user import users_sheet
from analysis.comparisons.table import comparison_sheet
from analysis.comparisons.trends import trends
from analysis.diagnostics.cost import all_trials, cost_sheet
from analysis.diagnostics.pruning import pruned_sheet
from analysis.report.conclusions import answers
from analysis.report.summary import Table, make_table
from analysis.report_table import ReportTable
from analysis.study.labels import label_of
from analysis.study.metrics import METRIC, title
from analysis.study.model import Study

_PAIRED = (
    f"Differences in {title(METRIC)} on test, paired by seed. p: Holm's correction within this "
    "table. Interval: Student's, of that row alone, so one beside zero may still be within noise."
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a report is made of."""

    table: Table
    sentences: tuple[str, ...]
    sheets: tuple[ReportTable, ...]


def find(study: Study, others: Sequence[Study] = ()) -> Findings:
    """Return what the study says, alone and beside others."""
    name = title(METRIC)
    said = answers(study)
    for other in others:
        said += against_sentences(study, other, METRIC, name)
    sheets = [sheet for sheet in _sheets(study, others) if sheet is not None]
    return Findings(make_table(study), tuple(said), tuple(sheets))


def _sheets(study: Study, others: Sequence[Study]) -> Iterator[ReportTable | None]:
    name = title(METRIC)
    yield confirmation_sheet(study, METRIC, name)
    yield comparison_sheet(
        "control",
        "Against the control, seed by seed",
        against_control(study, METRIC),
        _PAIRED,
    )
    yield users_sheet(study)
    yield comparison_sheet(
        "effects",
        "Each factor, all else equal",
        main_effects(study, METRIC),
        f"{_PAIRED} A level's cells are averaged within a seed, those only that have a partner; "
        "where a trial is missing, the largest part in which every seed has every pair.",
    )
    yield comparison_sheet(
        "trends",
        "Is more of it better?",
        trends(study, METRIC),
        f"Slope of {name} per unit of the number, fitted within each seed, all else equal.",
    )
    yield comparison_sheet(
        "interactions",
        "Do factors act together?",
        interactions(study, METRIC),
        f"{_PAIRED} Zero: what both change together is the sum of what each changes alone.",
    )
    yield patience_sheet(patience_effects(study))
    yield literature_sheet(study)
    for other in others:
        yield from against_sheets(study, other, METRIC, name)
    yield pruned_sheet(study)
    yield failed_sheet(study)
    yield cost_sheet(study)


def literature_sheet(study: Study) -> ReportTable | None:
    """Return our values beside the reported ones, with the difference and what it is worth."""
    words = {True: "yes", False: "no", None: "one seed"}
    found = list(compare_to_reported(study))
    rows = [
        (
            f"{row.cell.variant}{row.elsewhere}",
            title(f"test/{row.metric}"),
            f"{row.ours.mean:.4f}",
            f"{row.ours.low:.4f} to {row.ours.high:.4f}" if row.ours.is_known else "–",
            f"{row.theirs:.4f}",
            f"{row.difference:+.4f}\n{row.difference / row.theirs:+.1%}",
            words[row.exceeds],
            f"{row.reported.source} {row.reported.note}".strip(),
        )
        for row in found
    ]
    head = (
        "variant",
        "metric",
        "ours",
        "our 95 % interval",
        "reported",
        "difference",
        "outside our interval",
        "source",
    )
    sources = dict.fromkeys(row.reported.source for row in found)
    said = "; ".join(f"{source}: {SOURCES[source]}" for source in sources)
    note = f"Interval: Student's over our seeds; the literature reports none. {said}."
    return (
        ReportTable("literature", "Beside the literature", head, tuple(rows), note)
        if rows
        else None
    )


def failed_sheet(study: Study) -> ReportTable | None:
    """Return the failed trials and why; they stand in no mean."""
    again = {
        trial.retry_of: f" (run again as {trial.number:04d})"
        for trial in all_trials(study)
        if trial.retry_of is not None
    }
    rows = [
        (
            f"{trial.number:04d}",
            label_of(tuple(trial.params.items())),
            "–" if trial.seed is None else str(trial.seed),
            (trial.error or "not recorded") + again.get(trial.number, ""),
        )
        for trial in all_trials(study)
        if trial.state == "failed"
    ]
    head = ("trial", "cell", "seed", "why")
    return ReportTable("failed", "Failed trials", head, tuple(rows)) if rows else None
