"""Selects the best point, and the one it is compared with, to run again on fresh seeds.

The best of many trials is partly the luckiest. Fresh seeds that no selection has seen tell luck
from merit, for the winner and for its rival alike.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from search_spaces import Objective
from search_spaces.leading import by_mean, leader
from tune_runner.schema import POINT


def by_point(trials: Iterable[FrozenTrial]) -> dict[Hashable, list[FrozenTrial]]:
    """Group the complete trials by the point that they ran."""
    points: dict[Hashable, list[FrozenTrial]] = {}
    for trial in trials:
        if trial.state is TrialState.COMPLETE:
            points.setdefault(trial.user_attrs.get(POINT), []).append(trial)
    return points


def winner_and_rival(
    points: Mapping[Hashable, Sequence[FrozenTrial]],
    *,
    objective: Objective,
    is_control: Callable[[FrozenTrial], bool],
    outside: Collection[Hashable] = (),
    is_sampled: bool = False,
) -> list[Hashable]:
    """Return the winner's point and its rival's, or as many as there are.

    Args:
        points: the complete trials of each point.
        objective: decides which mean value is better.
        is_control: whether a trial ran what the search is compared with. Where no point did, or
            where it has won itself, the second best is the rival.
        outside: points that a constraint leaves out; they come last.
        is_sampled: whether a sampler drew the points (`search_spaces.leading`).
    """
    values = {p: [float(t.value or 0) for t in ts] for p, ts in points.items()}
    inside = {p: seeds for p, seeds in values.items() if p not in outside}
    first = leader(inside, objective.sort_key, is_sampled=is_sampled)
    ranked = by_mean(values, objective.sort_key)
    ranked.sort(key=lambda p: (p in outside, p != first))
    # A sampler may have drawn the winner's very values twice: it is no rival of itself.
    candidates = [p for p in ranked[1:] if points[p][0].params != points[ranked[0]][0].params]
    controls = [p for p in candidates if any(map(is_control, points[p]))]
    return [*ranked[:1], *(controls or candidates)[:1]]
