"""Seeds beyond the first are spent where they decide: on the leader and on whoever may lead.

A race, as in SMAC (Hutter et al. 2011) and irace: a point begins with one seed. It gets its next
one while its mean is better than the leader's, or within one standard error of the difference.
The noise is that of the study's own seeds, pooled over its points.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from optuna.trial import FrozenTrial, TrialState

from search_spaces import leading
from search_spaces.variants import VARIANT
from tune_runner.schema import SEED
from tune_runner.search.observations import trials_by_point

KEPT = 5
"""Points with the best means, whose models are kept while seeds may still change the order."""


@dataclass(frozen=True, slots=True)
class RacingPoint:
    """A point of the search, its results so far, and the seeds that it has or will have."""

    key: Hashable
    trials: tuple[FrozenTrial, ...]
    values: tuple[float, ...]
    """Objective of each complete trial, the first one of several."""

    seeds: frozenset[int]
    is_running: bool

    @property
    def mean(self) -> float:
        """Mean over the seeds; there must be one."""
        return fmean(self.values)

    @property
    def newest(self) -> FrozenTrial:
        """The complete trial that ended last."""
        complete = [t for t in self.trials if t.state is TrialState.COMPLETE]
        return max(complete, key=lambda t: (t.datetime_complete is not None, t.datetime_complete))


def racing_points(trials: Iterable[FrozenTrial]) -> list[RacingPoint]:
    """Return the points of the search; confirmations are no part of it."""
    points = []
    for key, group in trials_by_point(trials).items():
        complete = [t for t in group if t.state is TrialState.COMPLETE]
        values = [t.values[0] for t in complete if t.values]
        seeds = [t.user_attrs.get(SEED) for t in group]
        is_running = any(not t.state.is_finished() for t in group)
        points.append(
            RacingPoint(
                key,
                tuple(group),
                tuple(values),
                frozenset(seed for seed in seeds if seed is not None),
                is_running,
            )
        )
    return points


def seed_noise(values: Iterable[Sequence[float]]) -> float:
    """Return the standard deviation over seeds, pooled over the points; NaN if none has two."""
    groups = [seeds for seeds in values if len(seeds) > 1]
    degrees = sum(len(seeds) - 1 for seeds in groups)
    squares = sum(sum((v - fmean(seeds)) ** 2 for v in seeds) for seeds in groups)
    return math.sqrt(squares / degrees) if degrees else math.nan


@dataclass(frozen=True, slots=True)
class Race:
    """Points of one search, or of one variant's where each has an equal share."""

    points: Sequence[RacingPoint]
    seeds: Sequence[int]
    sort_key: Callable[[float], float]

    @property
    def leader(self) -> RacingPoint | None:
        """The point that leads; None before the first result."""
        values = {number: point.values for number, point in enumerate(self.points)}
        number = leading.leader(values, self.sort_key, is_sampled=True)
        return None if number is None else self.points[number]

    def contenders(self, noise: float) -> list[RacingPoint]:
        """Return the points whose next seed may decide, the best mean first.

        Args:
            noise: standard deviation over seeds; NaN if it is not known yet.
        """
        lead = self.leader
        if lead is None:
            return []
        found = []
        for point in self.points:
            if point.values and self.missing(point):
                error = math.sqrt(1 / len(point.values) + 1 / len(lead.values))
                behind = self.sort_key(point.mean) - self.sort_key(lead.mean)
                if behind <= (0.0 if math.isnan(noise) else noise * error):
                    found.append(point)
        return sorted(found, key=lambda point: self.sort_key(point.mean))

    def missing(self, point: RacingPoint) -> list[int]:
        """Return the seeds that a point has not got yet."""
        return [seed for seed in self.seeds if seed not in point.seeds]


def next_replicate(
    trials: Iterable[FrozenTrial],
    seeds: Sequence[int],
    sort_key: Callable[[float], float],
    *,
    remaining: int,
    equal_share: bool,
    has_new_points: bool,
) -> tuple[RacingPoint, int] | None:
    """Return a point and the seed that it is to run with next; None: draw a new point.

    At most every second trial is such a replicate, but for the end of the budget, which is kept for
    the leader's seeds. Once every point of a finite space was tried, the others get theirs, too.

    Args:
        trials: of the study.
        seeds: that a point may have.
        sort_key: gives the key by which the best value comes first.
        remaining: trials that may still be added.
        equal_share: whether each variant has a leader of its own.
        has_new_points: whether a point is left that was not tried.
    """
    if len(seeds) == 1 or remaining < 1:
        return None
    points = racing_points(trials)
    noise = seed_noise(point.values for point in points)
    races = [Race(group, seeds, sort_key) for group in _by_variant(points, equal_share).values()]
    contenders = [(race, point) for race in races for point in race.contenders(noise)]
    reserved = sum(len(race.missing(race.leader)) for race in races if race.leader is not None)
    runs = sum(len(point.seeds) for point in points)
    extra = sum(max(0, len(point.seeds) - 1) for point in points)
    is_ending = remaining <= reserved or not has_new_points
    for race, point in contenders:
        if is_ending or (2 * (extra + 1) <= runs + 1 and not point.is_running):
            return point, race.missing(point)[0]
    if has_new_points:
        return None
    left = [(race, point) for race in races for point in race.points if race.missing(point)]
    ranked = sorted(left, key=lambda pair: _rank(pair[1], sort_key))
    return next(((point, race.missing(point)[0]) for race, point in ranked), None)


def next_missing(
    trials: Iterable[FrozenTrial], seeds: Sequence[int]
) -> tuple[RacingPoint, int] | None:
    """Return the first point that lacks a seed, and the seed; None if none does."""
    for point in racing_points(trials):
        missing = [seed for seed in seeds if seed not in point.seeds]
        if point.seeds and missing:
            return point, missing[0]
    return None


def _by_variant(
    points: Sequence[RacingPoint], equal_share: bool
) -> Mapping[object, Sequence[RacingPoint]]:
    groups: dict[object, list[RacingPoint]] = {}
    for point in points:
        variant = point.trials[0].params.get(VARIANT) if equal_share else None
        groups.setdefault(variant, []).append(point)
    return groups


def _rank(point: RacingPoint, sort_key: Callable[[float], float]) -> tuple[int, float]:
    """Return a key: fewest seeds first, then the best mean; without a result last."""
    return len(point.seeds), sort_key(point.mean) if point.values else math.inf
