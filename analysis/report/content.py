"""Content of a report: the table of cells, the sentences, and every other table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.comparisons.ablation import DETECTABLE_NOTE, Comparison, is_judged
from analysis.comparisons.beyond import beyond_table
from analysis.comparisons.confirmation import confirmation_table
from analysis.comparisons.front import front_table
from analysis.comparisons.literature import SOURCES, ReportedComparison
from analysis.comparisons.other_studies import tables_beside
from analysis.comparisons.patience import patience_table
from analysis.comparisons.per_user import users_table
from analysis.comparisons.table import comparison_table
from analysis.diagnostics.cost import all_trials, cost_table
from analysis.diagnostics.pruning import pruned_table
from analysis.report.conclusions import sentences
from analysis.report.summary import SummaryTable, summary_table
from analysis.report_table import ReportTable
from analysis.results import Results
from analysis.study.labels import NONE, label_of
from analysis.study.metrics import METRIC, title
from analysis.study.model import Study

_NAME = title(METRIC)

_PAIRED = (
    f"Differences in {_NAME} on test, paired by seed. p: Holm's correction within this "
    "table. Interval: Student's, of that row alone, so one beside zero may still be within noise."
)


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything that a report shows, as text."""

    summary: SummaryTable
    sentences: tuple[str, ...]
    """Conclusions; the first is the answer to the study's question."""

    tables: tuple[ReportTable, ...]


def report_content(results: Results) -> ReportContent:
    """Return what the results say, formatted."""
    return ReportContent(summary_table(results), tuple(sentences(results)), tables(results))


def tables(results: Results) -> tuple[ReportTable, ...]:
    """Return every table but that of the cells; without empty ones."""
    return tuple(table for table in _tables(results) if table is not None)


def _tables(results: Results) -> Iterator[ReportTable | None]:
    study = results.study
    yield front_table(study, results.front)
    yield confirmation_table(study, METRIC, _NAME)
    yield comparison_table(
        "control",
        "Against the control, seed by seed",
        results.control,
        f"{_PAIRED} {DETECTABLE_NOTE}",
    )
    yield users_table(results.users)
    yield beyond_table(study, results.beyond)
    yield comparison_table(
        "effects",
        "Each factor, all else equal",
        _judged(results.effects),
        f"{_PAIRED} A level's cells are averaged within a seed, only those that have a partner; "
        "if a trial is missing, the largest part in which every seed has every pair.",
    )
    yield comparison_table(
        "trends",
        "Is more of it better?",
        _judged(results.trends),
        f"Slope of {_NAME} per unit of the number, fitted within each seed, all else equal.",
    )
    yield comparison_table(
        "interactions",
        "Do factors act together?",
        _judged(results.interactions),
        f"{_PAIRED} Zero: what both change together is the sum of what each changes alone.",
    )
    yield patience_table(results.patience)
    yield literature_table(results.literature)
    for beside in results.others:
        yield from tables_beside(beside, METRIC, _NAME)
    yield pruned_table(study)
    yield failed_table(study)
    yield cost_table(results.cost)


def _judged(comparisons: Sequence[Comparison]) -> Sequence[Comparison]:
    """Return a family of tests; nothing of one that has no verdict, for want of seeds."""
    return comparisons if is_judged(comparisons) else ()


def literature_table(comparisons: Sequence[ReportedComparison]) -> ReportTable | None:
    """Return our values beside the reported ones, with the difference; None without any."""
    if not comparisons:
        return None
    yes_no = {True: "yes", False: "no", None: NONE}
    rows = [
        (
            f"{row.cell.variant}{row.elsewhere}",
            title(f"test/{row.metric}"),
            f"{row.ours.mean:.4f}",
            f"{row.ours.low:.4f} to {row.ours.high:.4f}" if row.ours.is_known else NONE,
            f"{row.theirs:.4f}",
            f"{row.difference:+.4f}\n{row.difference / row.theirs:+.1%}",
            yes_no[row.exceeds],
            f"{row.reported.source} {row.reported.note}".strip(),
        )
        for row in comparisons
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
    sources = dict.fromkeys(row.reported.source for row in comparisons)
    legend = "; ".join(f"{source}: {SOURCES[source]}" for source in sources)
    note = f"Interval: Student's over our seeds; the literature reports none. {legend}."
    return ReportTable("literature", "Beside the literature", head, tuple(rows), note)


def failed_table(study: Study) -> ReportTable | None:
    """Return the failed trials and why they failed; they are in no mean."""
    retry_notes = {
        trial.retry_of: f" (run again as {trial.number:04d})"
        for trial in all_trials(study)
        if trial.retry_of is not None
    }
    rows = [
        (
            f"{trial.number:04d}",
            label_of(tuple(trial.params.items())),
            NONE if trial.seed is None else str(trial.seed),
            (trial.error or "not recorded") + retry_notes.get(trial.number, ""),
        )
        for trial in all_trials(study)
        if trial.state == "failed"
    ]
    head = ("trial", "cell", "seed", "why")
    return ReportTable("failed", "Failed trials", head, tuple(rows)) if rows else None
