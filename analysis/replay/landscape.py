"""Landscapes made of recorded curves: of the nearest recorded point, or a surrogate of them all."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.replay.recording import RecordedTrial, Recording
from search_spaces.domains import (
    Choice,
    IntUniform,
    LogUniform,
    RelativeDomain,
    sampled_domain,
)
from search_spaces.space import SearchSpace
from search_spaces.variants import VARIANT

Array = NDArray[np.float64]

_TREES = 60
_ALIKE = 10
"""Recorded points of like value among which the noise of a seed is drawn."""

_VARIANT_WEIGHT = 3.0
"""Weight of another variant in the distance between points, of another listed value 1."""


def encode(space: SearchSpace, params: Mapping[str, Any]) -> Array:
    """Return a point as numbers: places in intervals from 0 to 1, listed values one by one.

    An inactive interval is -1, an inactive list is all zeros.
    """
    parts: list[float] = []
    for path, domain in space.domains.items():
        plain = sampled_domain(domain)
        value = params.get(path)
        if isinstance(plain, Choice):
            parts += [float(value == option) if path in params else 0.0 for option in plain.values]
            continue
        if value is None:
            parts.append(-1.0)
            continue
        if isinstance(domain, RelativeDomain):
            value = domain.factor_of(params[domain.path], value)
        low, high = float(plain.low), float(plain.high)
        if isinstance(plain, LogUniform) or (isinstance(plain, IntUniform) and plain.log):
            low, high, value = np.log(low), np.log(high), np.log(value)
        parts.append(0.5 if high == low else float((value - low) / (high - low)))
    return np.array(parts)


class RecordedLandscape:
    """Curves at any point of a space, from those that were recorded.

    A seed's noise is that of recorded seeds: the difference of a trial's curve to the mean of its
    point, drawn among points of like value. Without a point of two seeds there is no noise.
    """

    def __init__(self, recording: Recording, kind: str, noise_seed: int = 0) -> None:
        """Prepare the curves.

        Args:
            recording: complete trials with their curves.
            kind: `nearest` takes the mean curve of the nearest recorded point; `surrogate` that of
                extremely randomized trees (Geurts et al. 2006) fitted to the mean curves.
            noise_seed: of the random numbers of the noise.
        """
        self.space, self._kind, self._noise_seed = recording.space, kind, noise_seed
        self._points = recording.points
        epochs = sorted({epoch for trial in recording.trials for epoch in trial.curve})
        self._epochs, self.max_epochs, self.eval_every = epochs, epochs[-1], epochs[0]
        self._inputs = np.array([encode(self.space, p[0].params) for p in self._points])
        curves = [[self._filled(trial) for trial in point] for point in self._points]
        self._means = np.array([np.mean(point, axis=0) for point in curves])
        self._lengths = np.array([np.mean([max(t.curve) for t in p]) for p in self._points])
        self._values = self._best(self._means)
        # a mean of n seeds takes away 1/n of the variance
        self._noise = [
            [(curve - mean) * np.sqrt(len(point) / (len(point) - 1)) for curve in point]
            for point, mean in zip(curves, self._means, strict=True)
            if len(point) > 1
        ]
        noisy = [value for value, point in zip(self._values, self._points, strict=True)
                 if len(point) > 1]  # fmt: skip
        self._noisy_values = np.array(noisy)

    def with_noise(self, seed: int) -> "RecordedLandscape":
        """Return the same landscape with other random numbers of the noise."""
        other = object.__new__(RecordedLandscape)
        other.__dict__ |= {**self.__dict__, "_trees": self._trees, "_noise_seed": seed}
        return other

    @property
    def num_points(self) -> int:
        """Number of recorded points."""
        return len(self._points)

    @property
    def best(self) -> float:
        """Expected value of the best point among the recorded ones and many at random."""
        recorded = [self.truth(point[0].params) for point in self._points]
        return float(min(recorded, key=self.space.objective.sort_key))

    @cached_property
    def explained(self) -> float:
        """Share of the variance of the points' values that the surrogate explains out of bag."""
        return float(self._forest.oob_score_)

    def truth(self, params: Mapping[str, Any]) -> float:
        """Return the expected best value of a point."""
        mean, length = self._expected(params)
        keep = max(1, sum(epoch <= length for epoch in self._epochs))
        return float(self._best(mean[None, :keep])[0])

    def curve(self, params: Mapping[str, Any], seed: int) -> dict[int, float]:
        """Return the curve that one seed of a point would show."""
        mean, length = self._expected(params)
        if self._noise:
            point = encode(self.space, params)
            rng = np.random.default_rng(
                [self._noise_seed, seed, *(int(x) for x in np.abs(point * 1e6))]
            )
            distance = np.abs(self._noisy_values - self._best(mean[None])[0])
            alike = np.argsort(distance)[:_ALIKE]
            group = self._noise[int(rng.choice(alike))]
            mean = mean + group[int(rng.integers(len(group)))]
        keep = max(1, sum(epoch <= length for epoch in self._epochs))
        pairs = zip(self._epochs[:keep], mean[:keep], strict=True)
        return {epoch: float(value) for epoch, value in pairs}

    def _expected(self, params: Mapping[str, Any]) -> tuple[Array, float]:
        """Return the mean curve of a point, and the epochs that it runs."""
        point = encode(self.space, params)
        if self._kind == "nearest":
            distance = np.abs(self._inputs - point) @ self._weights
            nearest = int(np.argmin(distance))
            return self._means[nearest], float(self._lengths[nearest])
        row = point[None].astype(np.float32)
        outputs = np.mean([tree.predict(row).ravel() for tree in self._trees], axis=0)
        return outputs[:-1], float(outputs[-1])

    @cached_property
    def _weights(self) -> Array:
        """Weight of each number of a point in distances; two listed values differ in two."""
        weights: list[float] = []
        for path, domain in self.space.domains.items():
            plain = sampled_domain(domain)
            if isinstance(plain, Choice):
                weight = 0.5 * (_VARIANT_WEIGHT if path == VARIANT else 1.0)
                weights += [weight] * len(plain.values)
            else:
                weights.append(1.0)
        return np.array(weights)

    @cached_property
    def _trees(self) -> list[Any]:
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(_TREES, min_samples_leaf=2, random_state=0)
        forest.fit(self._inputs, np.column_stack([self._means, self._lengths]))
        # the trees themselves: the forest's own call costs a hundred times more for one point
        return [tree.tree_ for tree in forest.estimators_]

    @cached_property
    def _forest(self) -> Any:
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(
            5 * _TREES, min_samples_leaf=2, random_state=0, bootstrap=True, oob_score=True
        )
        return forest.fit(self._inputs, self._values)

    def _filled(self, trial: RecordedTrial) -> Array:
        """Return a curve at every epoch; one that ended early keeps its last value."""
        values, last = [], next(iter(trial.curve.values()))
        for epoch in self._epochs:
            last = trial.curve.get(epoch, last)
            values.append(last)
        return np.array(values)

    def _best(self, curves: Array) -> Array:
        maximize = self.space.objective.direction == "maximize"
        return curves.max(axis=1) if maximize else curves.min(axis=1)
