"""The answer in sentences: what was best, what differs from the control, what lies within noise."""

from collections.abc import Sequence

from analysis.comparisons.ablation import (
    Comparison,
    against_control,
    main_effects,
    verdict_sentence,
)
from analysis.comparisons.confirmation import confirmation, confirmation_sentence
from analysis.comparisons.factor_interactions import interactions
from analysis.comparisons.literature import SOURCES, compare_to_reported
from analysis.comparisons.patience import patience_effects, patience_sentences
from analysis.comparisons.per_user import users_sentence
from analysis.comparisons.statistics import LEVEL
from analysis.comparisons.trends import trend_sentence, trends
from analysis.diagnostics.pruning import safety_sentence, saved_sentence
from analysis.study.metrics import METRIC, title
from analysis.study.model import Study, cell_name

_FEW = 3
"""Levels of a factor below which each has a sentence of its own."""


def answers(study: Study) -> list[str]:
    """Return the sentences that a reader in a hurry needs."""
    name = title(METRIC)
    said = [_best(study), confirmation_sentence(study, METRIC, name), *_control(study)]
    said.append(users_sentence(study))
    effects, slopes = main_effects(study, METRIC), trends(study, METRIC)
    joint = interactions(study, METRIC)
    said += _effects(effects)
    said += [trend_sentence(trend, name) for trend in slopes]
    said += _interactions(joint)
    said.append(_families([against_control(study, METRIC), effects, slopes, joint]))
    said += patience_sentences(patience_effects(study))
    said += _literature(study)
    said += [safety_sentence(study), saved_sentence(study)]
    return [sentence for sentence in said if sentence]


def _best(study: Study) -> str:
    cell = study.ranked()[0]
    flattery = (
        ""
        if confirmation(study, METRIC) is not None
        else " Being the best of many flatters: it is a candidate until fresh seeds confirm it "
        "(--confirm N)."
    )
    return (
        f"Best by validation: {cell_name(study, cell)} ({study.objective} "
        f"{cell.mean(study.best_objective):.4f}), with {title(METRIC)} {cell.mean(METRIC):.4f} on "
        f"test.{flattery}"
    )


def _control(study: Study) -> list[str]:
    found = against_control(study, METRIC)
    if not found or study.control is None:
        return []
    count = {v: sum(c.verdict == v for c in found) for v in ("better", "worse", "within noise")}
    unknown = len(found) - sum(count.values())
    more = f"; {unknown} have too few seeds to say" if unknown else ""
    return [
        f"Of {len(found)} cells against the control {study.control.label}, "
        f"{count['better']} better, {count['worse']} worse, "
        f"{count['within noise']} within noise{more} ({title(METRIC)}, paired by seed, Holm)."
    ]


def _effects(found: list[Comparison]) -> list[str]:
    """Return what each factor does: in full where it has few levels, else counted."""
    said = []
    for factor in dict.fromkeys(c.factor for c in found):
        levels = [c for c in found if c.factor == factor]
        if len(levels) < _FEW:
            said += [verdict_sentence(c, title(METRIC)) for c in levels]
            continue
        parts = []
        for verdict in ("better", "worse", "within noise", "unknown"):
            names = [
                c.label.removeprefix(f"{factor} ")
                + (f" ({c.estimate.mean:+.4f})" if c.estimate.n else "")
                for c in levels
                if c.verdict == verdict
            ]
            if names:
                parts.append(f"{verdict} {', '.join(names)}")
        base = levels[0].reference.removeprefix(f"{factor} ")
        said.append(f"{factor} against {base}, all else equal: {'; '.join(parts)}.")
    return said


def _families(families: Sequence[Sequence[Comparison]]) -> str:
    """Return how often a study without any effect would seem to have one."""
    tested = [family for family in families if any(one.estimate.is_known for one in family)]
    if len(tested) < 2:
        return ""
    rate = 1 - LEVEL ** len(tested)
    return (
        f"These are {len(tested)} families of tests by seed, each with an error rate of "
        f"{1 - LEVEL:.0%}: of studies without any effect up to {rate:.0%} would show one somewhere."
    )


def _interactions(found: list[Comparison]) -> list[str]:
    if not found:
        return []
    stand = [c for c in found if c.verdict in ("better", "worse")]
    if not stand:
        return [f"Of {len(found)} interactions of two factors none stands out of the noise."]
    names = ", ".join(f"{c.label} ({c.estimate.mean:+.4f})" for c in stand)
    return [f"{len(stand)} of {len(found)} interactions stand out of the noise: {names}."]


def _literature(study: Study) -> list[str]:
    """Return a sentence for each cell that is reported: ours, and what each source says."""
    sure = {
        True: "outside our interval",
        False: "inside our interval",
        None: "and one seed has no interval",
    }
    said: dict[str, list[str]] = {}
    for row in compare_to_reported(study):
        if f"test/{row.metric}" == METRIC:
            ours = f"{row.cell.variant} reaches {title(METRIC)} {row.ours.mean:.4f}"
            said.setdefault(ours, []).append(
                f"{SOURCES[row.reported.source]} says {row.theirs:.4f}{row.elsewhere}, "
                f"{sure[row.exceeds]}"
            )
    return [f"{ours}; {'; '.join(theirs)}." for ours, theirs in said.items()]
