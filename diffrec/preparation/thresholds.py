"""Threshold of ratings that count as interactions, and the share that each would keep."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from diffrec.errors import UserError
from diffrec.preparation.settings import Threshold

_HIGH = 0.75
"""Part of the scale above which `auto` takes ratings: 4 of 1 to 5, 8 of 0 to 10, 1 of 0 and 1."""

_MOST_VALUES = 101
_SHOWN = 11


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """Chosen threshold, and the share of ratings that it and others keep."""

    threshold: float | None
    """None: every rating is an interaction."""

    kept_share: float
    shares: dict[float, float]
    """Share of ratings of at least each value; at most eleven values."""

    automatic: float | None
    """Threshold that `auto` takes; None if the values are not a scale."""

    def sentence(self) -> str:
        """Return the choice in words, for the user."""
        if self.threshold is None:
            return "ratings do not count: every row is an interaction"
        shares = ", ".join(f"{value:g}: {share:.1%}" for value, share in self.shares.items())
        text = (
            f"ratings of at least {self.threshold:g} are interactions, {self.kept_share:.1%} of "
            f"them (at least {shares})"
        )
        if self.automatic is not None and self.automatic != self.threshold:
            text += (
                f"; --threshold auto takes {self.automatic:g}, {self.shares_of(self.automatic):.1%}"
            )
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the choice as JSON values."""
        return asdict(self) | {"shares": {f"{value:g}": s for value, s in self.shares.items()}}

    def shares_of(self, value: float) -> float:
        """Return the share of ratings of at least `value`, which is one of the values."""
        return self.shares.get(value, float("nan"))


def choose_threshold(ratings: np.ndarray, threshold: Threshold) -> ThresholdChoice:
    """Return the threshold for these ratings.

    Raises:
        UserError: `auto`, but the values are not a scale (counts of plays, for instance).
    """
    values, counts = np.unique(ratings, return_counts=True)
    share = counts[::-1].cumsum()[::-1] / len(ratings)
    automatic = None
    if len(values) <= _MOST_VALUES:
        lowest = values[0] + _HIGH * (values[-1] - values[0])
        automatic = float(values[np.searchsorted(values, lowest)])
    if threshold == "auto":
        if automatic is None:
            raise UserError(
                f"`--threshold auto` needs ratings on a scale, but there are {len(values)} "
                f"different ones ({values[0]:g} to {values[-1]:g}); give a number, or none."
            )
        threshold = automatic
    indices = np.unique(
        np.linspace(0, len(values) - 1, min(len(values), _SHOWN)).round().astype(int)
    )
    shares = {float(values[n]): float(share[n]) for n in indices}
    if automatic is not None:
        shares[automatic] = float(share[np.searchsorted(values, automatic)])
    kept_share = 1.0 if threshold is None else float(np.mean(ratings >= np.float32(threshold)))
    return ThresholdChoice(threshold, kept_share, dict(sorted(shares.items())), automatic)
