"""The answer in sentences: what was best, what differs from the control, what lies within noise."""

from collections.abc import Sequence

from analysis.ablation import Comparison, against_control, verdict_sentence
from analysis.figures import METRIC
from analysis.literature import SOURCES, beside
from analysis.study import Study
from analysis.summary import Table, best_cells, grid_label, state_sentence, title


def answers(table: Table, effects: Sequence[Comparison]) -> list[str]:
    """Return the sentences that a reader in a hurry needs."""
    study = table.study
    said = [_best(study), *_control(study)]
    said += [verdict_sentence(effect, title(METRIC)) for effect in effects]
    for row in beside(study):
        if f"test/{row.metric}" == METRIC:
            sure = {True: "outside", False: "inside", None: "which has no"}[row.exceeds]
            said.append(
                f"{row.reported.model} reaches {title(METRIC)} {row.ours.mean:.4f}; "
                f"{SOURCES[row.reported.source]} says {row.theirs:.4f}, {sure} our interval."
            )
    return [*said, state_sentence(study)]


def _best(study: Study) -> str:
    cell = best_cells(study)[0]
    return (
        f"Best by validation: {grid_label(study, cell)} ({study.objective} "
        f"{cell.mean(study.best_objective):.4f}), with {title(METRIC)} {cell.mean(METRIC):.4f} on "
        "test. Being the best of many flatters: it is a candidate until fresh seeds confirm it."
    )


def _control(study: Study) -> list[str]:
    found = against_control(study, METRIC)
    if not found or study.control is None:
        return []
    count = {v: sum(c.verdict == v for c in found) for v in ("better", "worse", "within noise")}
    unknown = len(found) - sum(count.values())
    more = f"; {unknown} have too few seeds to say" if unknown else ""
    return [
        f"Of {len(found)} cells against the control {grid_label(study, study.control)}, "
        f"{count['better']} are better, {count['worse']} worse, "
        f"{count['within noise']} within noise{more} ({title(METRIC)}, paired by seed, Holm)."
    ]
