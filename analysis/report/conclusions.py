"""Conclusions in sentences: the answer first, then the winner, then every result behind it."""

from collections.abc import Sequence
from statistics import median

from analysis.comparisons.ablation import (
    Comparison,
    is_judged,
    shows_difference,
    verdict_sentence,
)
from analysis.comparisons.confirmation import confirmation_sentence
from analysis.comparisons.front import front_sentence
from analysis.comparisons.literature import SOURCES, ReportedComparison
from analysis.comparisons.other_studies import sentences_beside
from analysis.comparisons.patience import patience_sentences
from analysis.comparisons.per_user import users_sentence
from analysis.comparisons.statistics import MARGIN
from analysis.comparisons.trends import trend_sentence
from analysis.diagnostics.pruning import safety_sentence, saved_sentence
from analysis.results import Results
from analysis.study.labels import list_some, signed
from analysis.study.metrics import METRIC, title
from analysis.study.model import cell_name
from diffrec.evaluation.paired import LEVEL

_FEW = 3
"""Number of levels of a factor from which on they share one sentence."""

_NAME = title(METRIC)


def sentences(results: Results) -> list[str]:
    """Return the conclusions, the answer to the question first; without empty ones."""
    front = front_sentence(results.study, results.front)
    texts = [answer(results), winner_sentence(results)]
    texts.append("" if front == texts[0] else front)
    if results.confirmation is None:  # else it is the answer
        texts.append(confirmation_sentence(results.study, None, _NAME))
    texts.append(_control_counts(results.control))
    texts.append(users_sentence(results.users, results.control))
    if results.effects != results.control and not _is_one_factor(results):
        texts += _effect_sentences(results.effects)
    texts += [trend_sentence(trend, _NAME) for trend in results.trends]
    texts.append(_interaction_sentence(results.interactions))
    texts.append(_error_rate(results.families))
    texts += patience_sentences(results.patience)
    texts += _literature_sentences(results.literature)
    texts += [safety_sentence(results.ranks), saved_sentence(results.study, results.saved)]
    for beside in results.others:
        texts += sentences_beside(beside, _NAME)
    return [sentence for sentence in texts if sentence]


def answer(results: Results) -> str:
    """Return the answer to the study's question in one sentence.

    It says what differs and by how much, or that no difference was shown and how large one would
    have had to be, or what is missing for an answer.
    """
    if results.confirmation is not None:
        return confirmation_sentence(results.study, results.confirmation, _NAME)
    if results.front is not None:
        return front_sentence(results.study, results.front)
    if is_judged(results.control):
        return _answer_of_control(results)
    if is_judged(results.effects):
        return _answer_of_effects(results)
    return _answer_without_tests(results)


def winner_sentence(results: Results) -> str:
    """Return the best cell by validation, with its test value."""
    study = results.study
    cell = study.ranked()[0]
    is_front = len(study.goals.objectives) > 1  # there is nothing that could be confirmed
    doubt = (
        ""
        if results.confirmation is not None or len(study.ranked()) == 1 or is_front
        else " The best of many is partly the luckiest: it is a candidate until fresh seeds "
        "confirm it (--confirm N)."
    )
    return (
        f"Best by validation{' in the first objective' if is_front else ''}: "
        f"{cell_name(study, cell)} ({study.objective} {cell.mean(study.best_objective):.4f}), with "
        f"{_NAME} {cell.mean(METRIC):.4f} on test.{doubt}"
    )


def _answer_of_control(results: Results) -> str:
    comparisons, control = results.control, results.study.control
    assert control is not None
    shown = sorted(filter(shows_difference, comparisons), key=_distance, reverse=True)
    judged = [c for c in comparisons if c.verdict != "unknown"]
    if not shown:
        return _no_difference(judged, f"the control {control.label}", results.effects)
    undecided = [c for c in judged if not shows_difference(c)]
    noisy = [c.detectable for c in undecided if c.verdict == "within noise"]
    typical = _plain(median(noisy)) if noisy else ""
    detectable_clause = (
        f", and typically only one above about {typical} could have been" if noisy else ""
    )
    undecided_clause = (
        f"; for the other {len(undecided)} no difference was shown{detectable_clause}"
        if undecided
        else ""
    )
    parts = ", ".join(_size(c) for c in shown[:3])
    more_clause = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    verb = "cell differs" if len(judged) == 1 else "cells differ"
    return (
        f"{len(shown)} of {len(judged)} {verb} from the control {control.label} in {_NAME} on "
        f"test: {parts}{more_clause}{undecided_clause}{_averaged(results.effects, shown)}."
    )


def _no_difference(judged: Sequence[Comparison], base: str, effects: Sequence[Comparison]) -> str:
    """Return that none was shown, what could have been, and what averaging over cells shows."""
    same = [c for c in judged if c.verdict == "the same"]
    sizes = [c for c in judged if c.verdict == "within noise"]
    if not sizes:
        subject = "the cell" if len(same) == 1 else f"all {len(same)} cells"
        return f"No difference: {subject} and {base} gave the same {_NAME} on every seed."
    typical = median(c.detectable for c in sizes)
    bound, margin = _plain(typical), sizes[0].margin
    # The margin is a share of the reference's mean.
    relative = f" ({typical / margin * MARGIN:.1%})" if margin else ""
    equivalent = [c for c in sizes if c.is_equivalent]
    verb = "is" if len(equivalent) == 1 else "are"
    equivalence_clause = (
        f"; {len(equivalent)} of {len(judged)} {verb} equivalent to it within {MARGIN:.0%}"
        if equivalent
        else f"; equivalence within {MARGIN:.0%} was not shown either"
    )
    averaged_clause = _averaged(effects, [])
    seeds = sizes[0].estimate.n
    subject = f"none of {len(judged)} cells differs"
    subject = f"{judged[0].label} does not differ" if len(judged) == 1 else subject
    return (
        f"No difference was shown: in {_NAME} on test {subject} from {base} beyond noise, and with "
        f"these {seeds} seeds only differences above about {bound}{relative} could have been shown"
        f"{equivalence_clause}{averaged_clause}."
    )


def _answer_of_effects(results: Results) -> str:
    judged = [c for c in results.effects if c.verdict != "unknown"]
    shown = sorted(filter(shows_difference, judged), key=_distance, reverse=True)
    if not shown:
        return _no_difference(judged, "the first level of its factor", [])
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return (
        f"{len(shown)} of {len(judged)} levels differ from the first of their factor in {_NAME} "
        f"on test, all else equal: {', '.join(map(_size, shown[:3]))}{more}."
    )


def _answer_without_tests(results: Results) -> str:
    study = results.study
    ranked = study.ranked()
    seeds = max((cell.num_seeds for cell in study.cells), default=0)
    if study.is_sampled:
        best = ranked[0]
        return (
            f"The best of {len(ranked)} points is {cell_name(study, best)}, with {_NAME} "
            f"{best.mean(METRIC):.4f} on test; whether it is better than the others is open until "
            "it has run on fresh seeds."
        )
    if len(ranked) == 1:
        return f"One cell has a result: {_NAME} {ranked[0].mean(METRIC):.4f} on test."
    if seeds < 2:
        return (
            "Open: each cell ran with one seed, so a difference cannot be told from chance; "
            "more seeds (--seeds 3) would answer it."
        )
    if seeds < 3:
        return "Open: two seeds are too few to tell a difference from chance; --seeds 3 would do."
    return (
        f"Ranked, not tested: the space names no control; {ranked[0].label} has the best "
        f"validation value of {len(ranked)} cells."
    )


def _size(comparison: Comparison) -> str:
    """Return a shown difference in a few words: `x is better by 0.0120 (+7.1%)`."""
    size = _plain(comparison.estimate.mean)
    share = "" if comparison.relative != comparison.relative else f" ({comparison.relative:+.1%})"
    return f"{comparison.label} is {comparison.verdict} by {size}{share}"


def _averaged(effects: Sequence[Comparison], mentioned: Sequence[Comparison]) -> str:
    """Return the largest main effect that was shown, unless a cell's difference is the same."""
    sizes = {round(c.estimate.mean, 9) for c in mentioned}
    shown = [c for c in effects if shows_difference(c) and round(c.estimate.mean, 9) not in sizes]
    if not shown:
        return ""
    return f"; averaged over the other factors, {_size(max(shown, key=_distance))}"


def _distance(comparison: Comparison) -> float:
    return abs(comparison.estimate.mean)


def _plain(size: float) -> str:
    """Return a size without a sign, with decimals enough for two digits."""
    return signed(size)[0].lstrip("+-")


def _control_counts(comparisons: Sequence[Comparison]) -> str:
    if not is_judged(comparisons):
        return ""
    names = ("better", "worse", "within noise", "the same")
    counts = {name: sum(c.verdict == name for c in comparisons) for name in names}
    parts = [f"{count} {name}" for name, count in counts.items() if count or name != "the same"]
    unknown = sum(c.verdict == "unknown" for c in comparisons)
    unknown_clause = f"; {unknown} have too few seeds to say" if unknown else ""
    return (
        f"Of {len(comparisons)} cells against the control {comparisons[0].reference}, "
        f"{', '.join(parts)}{unknown_clause} ({_NAME}, paired by seed, Holm)."
    )


def _is_one_factor(results: Results) -> bool:
    """Return whether the effects repeat the comparisons with the control."""
    return len(results.study.paths) == 1 and bool(results.control)


def _effect_sentences(effects: Sequence[Comparison]) -> list[str]:
    """Return each factor's effect: in full with few levels, else counted by verdict."""
    sentences = []
    for factor in dict.fromkeys(c.factor for c in effects):
        levels = [c for c in effects if c.factor == factor and c.verdict != "unknown"]
        if len(levels) < _FEW:
            sentences += [verdict_sentence(c, _NAME) for c in levels]
            continue
        parts = []
        for verdict in ("better", "worse", "within noise", "the same"):
            names = [
                f"{c.label.removeprefix(f'{factor} ')} ({c.estimate.mean:+.4f})"
                for c in levels
                if c.verdict == verdict
            ]
            if names:
                parts.append(f"{verdict} {', '.join(names)}")
        base = levels[0].reference.removeprefix(f"{factor} ")
        sentences.append(f"{factor} against {base}, all else equal: {'; '.join(parts)}.")
    return sentences


def _interaction_sentence(interactions: Sequence[Comparison]) -> str:
    judged = [c for c in interactions if c.verdict != "unknown"]
    if not judged:
        return ""
    shown = [f"{c.label} ({c.estimate.mean:+.4f})" for c in judged if shows_difference(c)]
    if shown:
        names = list_some(shown, 6)
        return f"{len(shown)} of {len(judged)} interactions stand out of the noise: {names}."
    noisy = [c.detectable for c in judged if c.verdict == "within noise"]
    bound = _plain(max(noisy)) if noisy else ""
    detectable_clause = (
        f"; only interactions above about {bound} could have been shown" if noisy else ""
    )
    return (
        f"None of {len(judged)} interactions of two factors stands out of the noise"
        f"{detectable_clause}."
    )


def _error_rate(families: Sequence[Sequence[Comparison]]) -> str:
    """Return how often a study without any effect would seem to have one.

    The families share their trials, so their errors are dependent: the bound is the sum.
    """
    tested = [family for family in families if any(c.estimate.can_be_judged for c in family)]
    if len(tested) < 2:
        return ""
    rate = min(1.0, (1 - LEVEL) * len(tested))
    return (
        f"These are {len(tested)} families of tests by seed, each with an error rate of "
        f"{1 - LEVEL:.0%}: of studies without any effect up to {rate:.0%} would show one somewhere."
    )


def _literature_sentences(rows: Sequence[ReportedComparison]) -> list[str]:
    """Return a sentence for each cell that the literature reports: ours, and each source's."""
    interval_clauses = {True: ", outside our interval", False: ", inside our interval", None: ""}
    by_cell: dict[str, list[str]] = {}
    for row in rows:
        if f"test/{row.metric}" == METRIC:
            ours = f"{row.cell.variant} reaches {_NAME} {row.ours.mean:.4f}"
            by_cell.setdefault(ours, []).append(
                f"{SOURCES[row.reported.source]} says {row.theirs:.4f}{row.elsewhere}"
                f"{interval_clauses[row.exceeds]}"
            )
    return [f"{ours}; {'; '.join(theirs)}." for ours, theirs in by_cell.items()]
