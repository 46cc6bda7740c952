"""When to stop: a pure rule over what validation has said so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PatienceRule:
    """Stop when no validation was better for `patience` epochs."""

    patience: int

    def best(self, history: Sequence[tuple[int, float]]) -> tuple[int, float]:
        """Return (epoch, value) of the best validation, the earliest where equal.

        Args:
            history: (epoch, value) per validation, in order; higher is better.
        """
        return max(history, key=lambda entry: (entry[1], -entry[0]), default=(0, -math.inf))

    def should_stop(self, history: Sequence[tuple[int, float]]) -> bool:
        """Return whether the last validation lies `patience` epochs or more behind the best."""
        return bool(history) and history[-1][0] - self.best(history)[0] >= self.patience
