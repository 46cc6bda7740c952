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
from analysis.comparisons.literature import SOURCES, ReportedComparison
from analysis.comparisons.other_studies import sentences_beside
from analysis.comparisons.patience import patience_sentences
from analysis.comparisons.per_user import users_sentence
from analysis.comparisons.statistics import LEVEL, MARGIN
from analysis.comparisons.trends import trend_sentence
from analysis.diagnostics.pruning import safety_sentence, saved_sentence
from analysis.results import Results
from analysis.study.labels import list_some, signed
from analysis.study.metrics import METRIC, title
from analysis.study.model import cell_name

_FEW = 3
"""Number of levels of a factor from which on they share one sentence."""

_NAME = title(METRIC)


def sentences(results: Results) -> list[str]:
    """Return the conclusions, the answer to the question first; without empty ones."""
    said = [answer(results), winner_sentence(results)]
    if results.confirmation is None:  # else it is the answer
        said.append(confirmation_sentence(results.study, None, _NAME))
    said.append(_control_counts(results.control))
    said.append(users_sentence(results.users, results.control))
    if results.effects != results.control and not _is_one_factor(results):
        said += _effect_sentences(results.effects)
    said += [trend_sentence(trend, _NAME) for trend in results.trends]
    said.append(_interaction_sentence(results.interactions))
    said.append(_error_rate(results.families))
    said += patience_sentences(results.patience)
    said += _literature_sentences(results.literature)
    said += [safety_sentence(results.ranks), saved_sentence(results.study, results.saved)]
    for beside in results.others:
        said += sentences_beside(beside, _NAME)
    return [sentence for sentence in said if sentence]


def answer(results: Results) -> str:
    """Return the answer to the study's question in one sentence.

    It says what differs and by how much, or that no difference was shown and how large one would
    have had to be, or what is missing for an answer.
    """
    if results.confirmation is not None:
        return confirmation_sentence(results.study, results.confirmation, _NAME)
    if is_judged(results.control):
        return _answer_of_control(results)
    if is_judged(results.effects):
        return _answer_of_effects(results)
    return _answer_without_tests(results)


def winner_sentence(results: Results) -> str:
    """Return the best cell by validation, with its test value."""
    study = results.study
    cell = study.ranked()[0]
    doubt = (
        ""
        if results.confirmation is not None or len(study.ranked()) == 1
        else " The best of many is partly the luckiest: it is a candidate until fresh seeds "
        "confirm it (--confirm N)."
    )
    return (
        f"Best by validation: {cell_name(study, cell)} ({study.objective} "
        f"{cell.mean(study.best_objective):.4f}), with {_NAME} {cell.mean(METRIC):.4f} on "
        f"test.{doubt}"
    )


def _answer_of_control(results: Results) -> str:
    found, control = results.control, results.study.control
    assert control is not None
    shown = sorted(filter(shows_difference, found), key=_distance, reverse=True)
    judged = [c for c in found if c.verdict != "unknown"]
    if not shown:
        return _no_difference(judged, f"the control {control.label}", results.effects)
    same = [c for c in judged if not shows_difference(c)]
    noisy = [c.detectable for c in same if c.verdict == "within noise"]
    typical = _plain(median(noisy)) if noisy else ""
    could = f", and typically only one above about {typical} could have been" if noisy else ""
    rest = f"; for the other {len(same)} no difference was shown{could}" if same else ""
    parts = ", ".join(_size(c) for c in shown[:3])
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    what = "cell differs" if len(judged) == 1 else "cells differ"
    return (
        f"{len(shown)} of {len(judged)} {what} from the control {control.label} in {_NAME} on "
        f"test: {parts}{more}{rest}{_averaged(results.effects, shown)}."
    )


def _no_difference(judged: Sequence[Comparison], base: str, effects: Sequence[Comparison]) -> str:
    """Return that none was shown, what could have been, and what averaging over cells shows."""
    same = [c for c in judged if c.verdict == "the same"]
    sizes = [c for c in judged if c.verdict == "within noise"]
    if not sizes:
        who = "the cell" if len(same) == 1 else f"all {len(same)} cells"
        return f"No difference: {who} and {base} gave the same {_NAME} on every seed."
    typical = median(c.detectable for c in sizes)
    bound, margin = _plain(typical), sizes[0].margin
    # The margin is a share of the reference's mean.
    relative = f" ({typical / margin * MARGIN:.1%})" if margin else ""
    equal = [c for c in sizes if c.is_equivalent]
    be = "is" if len(equal) == 1 else "are"
    tost = (
        f"; {len(equal)} of {len(judged)} {be} equivalent to it within {MARGIN:.0%}"
        if equal
        else f"; equivalence within {MARGIN:.0%} was not shown either"
    )
    but = _averaged(effects, [])
    seeds = sizes[0].estimate.n
    who = f"none of {len(judged)} cells differs"
    who = f"{judged[0].label} does not differ" if len(judged) == 1 else who
    return (
        f"No difference was shown: in {_NAME} on test {who} from {base} beyond noise, and with "
        f"these {seeds} seeds only differences above about {bound}{relative} could have been shown"
        f"{tost}{but}."
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


def _averaged(effects: Sequence[Comparison], said: Sequence[Comparison]) -> str:
    """Return the largest main effect that was shown, unless a cell's difference is the same."""
    sizes = {round(c.estimate.mean, 9) for c in said}
    shown = [c for c in effects if shows_difference(c) and round(c.estimate.mean, 9) not in sizes]
    if not shown:
        return ""
    return f"; averaged over the other factors, {_size(max(shown, key=_distance))}"


def _distance(comparison: Comparison) -> float:
    return abs(comparison.estimate.mean)


def _plain(size: float) -> str:
    """Return a size without a sign, with decimals enough for two digits."""
    return signed(size)[0].lstrip("+-")


def _control_counts(found: Sequence[Comparison]) -> str:
    if not is_judged(found):
        return ""
    names = ("better", "worse", "within noise", "the same")
    counts = {name: sum(c.verdict == name for c in found) for name in names}
    parts = [f"{count} {name}" for name, count in counts.items() if count or name != "the same"]
    unknown = sum(c.verdict == "unknown" for c in found)
    more = f"; {unknown} have too few seeds to say" if unknown else ""
    return (
        f"Of {len(found)} cells against the control {found[0].reference}, {', '.join(parts)}{more} "
        f"({_NAME}, paired by seed, Holm)."
    )


def _is_one_factor(results: Results) -> bool:
    """Return whether the effects repeat the comparisons with the control."""
    return len(results.study.paths) == 1 and bool(results.control)


def _effect_sentences(found: Sequence[Comparison]) -> list[str]:
    """Return each factor's effect: in full with few levels, else counted by verdict."""
    said = []
    for factor in dict.fromkeys(c.factor for c in found):
        levels = [c for c in found if c.factor == factor and c.verdict != "unknown"]
        if len(levels) < _FEW:
            said += [verdict_sentence(c, _NAME) for c in levels]
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
        said.append(f"{factor} against {base}, all else equal: {'; '.join(parts)}.")
    return said


def _interaction_sentence(found: Sequence[Comparison]) -> str:
    judged = [c for c in found if c.verdict != "unknown"]
    if not judged:
        return ""
    stand = [f"{c.label} ({c.estimate.mean:+.4f})" for c in judged if shows_difference(c)]
    if stand:
        names = list_some(stand, 6)
        return f"{len(stand)} of {len(judged)} interactions stand out of the noise: {names}."
    noisy = [c.detectable for c in judged if c.verdict == "within noise"]
    bound = _plain(max(noisy)) if noisy else ""
    could = f"; only interactions above about {bound} could have been shown" if noisy else ""
    return f"None of {len(judged)} interactions of two factors stands out of the noise{could}."


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


def _literature_sentences(found: Sequence[ReportedComparison]) -> list[str]:
    """Return a sentence for each cell that the literature reports: ours, and each source's."""
    sure = {True: ", outside our interval", False: ", inside our interval", None: ""}
    said: dict[str, list[str]] = {}
    for row in found:
        if f"test/{row.metric}" == METRIC:
            ours = f"{row.cell.variant} reaches {_NAME} {row.ours.mean:.4f}"
            said.setdefault(ours, []).append(
                f"{SOURCES[row.reported.source]} says {row.theirs:.4f}{row.elsewhere}"
                f"{sure[row.exceeds]}"
            )
    return [f"{ours}; {'; '.join(theirs)}." for ours, theirs in said.items()]
