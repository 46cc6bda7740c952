"""Early stopping by patience, as a pure function of the validation history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PatienceRule:
    """Rule that stops a run after `patience` epochs without a better validation."""

    patience: int

    def best(self, history: Sequence[tuple[int, float]]) -> tuple[int, float]:
        """Return (epoch, value) of the best validation, the earliest if several are equal.

        Args:
            history: (epoch, value) per validation, in order; higher is better.
        """
        return max(history, key=lambda entry: (entry[1], -entry[0]), default=(0, -math.inf))

    def should_stop(self, history: Sequence[tuple[int, float]]) -> bool:
        """Return True if the last validation is at least `patience` epochs after the best."""
        return bool(history) and history[-1][0] - self.best(history)[0] >= self.patience
