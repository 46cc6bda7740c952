"""Compares samplers and pruners by simulated studies: regret, epochs, and their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.replay.landscape import RecordedLandscape
from diffrec.evaluation.paired import Estimate, estimates
from tune_runner.search.replay import ReplayedSearch, replay_search
from tune_runner.study.config import StudyPlan

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """Samplers and pruners to compare, and how often each is repeated."""

    samplers: tuple[str, ...]
    pruners: tuple[str, ...]
    num_seeds: int
    trials: int
    workers: int
    repeats: int


@dataclass(frozen=True, slots=True)
class ReplayedStrategy:
    """Simulated studies of one sampler with one pruner."""

    sampler: str
    pruner: str
    regret: Array
    """Relative distance of the leader's expected value to the best one; (repeats, trials)."""

    epochs: Array
    """Epochs trained; (repeats, trials)."""

    full_epochs: Array
    """Epochs that the same trials would have trained unpruned; (repeats, trials)."""

    @property
    def name(self) -> str:
        """Name for people."""
        return self.sampler if self.pruner == "none" else f"{self.sampler} + {self.pruner}"

    def regret_after(self, trials: int) -> Estimate:
        """Return the mean regret after so many trials, with its interval over repeats."""
        return estimates([list(self.regret[:, trials - 1])])[0]

    @property
    def saved(self) -> Estimate:
        """Share of the epochs that the pruner saved, with its interval over repeats."""
        return estimates([list(1 - self.epochs[:, -1] / self.full_epochs[:, -1])])[0]

    def against(self, other: "ReplayedStrategy") -> Estimate:
        """Return the mean difference of the final regret to another one's, paired by repeat."""
        return estimates([list(self.regret[:, -1] - other.regret[:, -1])])[0]


def replay_all(landscape: RecordedLandscape, settings: ReplaySettings) -> list[ReplayedStrategy]:
    """Simulate every sampler with every pruner.

    Repeat number r has the same noise and the same seed for each of them.

    Raises:
        UserError: a sampler cannot search the space.
    """
    found: list[ReplayedStrategy] = []
    runs: list[tuple[str, str, list[ReplayedSearch]]] = []
    seeds = tuple(range(1, settings.num_seeds + 1))
    for sampler in settings.samplers:
        for pruner in settings.pruners:
            plan = StudyPlan(sampler, pruner, seeds, settings.trials)
            searches = [
                replay_search(
                    landscape.with_noise(repeat), plan, workers=settings.workers, seed=repeat
                )
                for repeat in range(settings.repeats)
            ]
            runs.append((sampler, pruner, searches))
    key = landscape.space.objective.sort_key
    seen = (value for *_, searches in runs for search in searches for value in search.truths)
    best = min((v for v in (*seen, landscape.best) if not math.isnan(v)), key=key)
    for sampler, pruner, searches in runs:
        regret = np.array([_regret(search, best) for search in searches])
        found.append(
            ReplayedStrategy(
                sampler,
                pruner,
                regret,
                np.array([search.epochs for search in searches], dtype=float),
                np.array([search.full_epochs for search in searches], dtype=float),
            )
        )
    return found


def _regret(search: ReplayedSearch, best: float) -> Sequence[float]:
    """Return the relative regret after each trial; before the first result all of it."""
    return [1.0 if math.isnan(truth) else abs(best - truth) / abs(best) for truth in search.truths]
