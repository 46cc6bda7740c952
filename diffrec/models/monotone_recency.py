"""Monotone recency curve of two parameters, which cannot fit noise.

The free curve has a weight for each of 14 ages, and on short histories most of them are fitted to
few interactions. This one is a power law, w(age) = (1 + age / tau)^(-beta) with beta > 0, which
falls or is flat and fits what free curves learned on ml-1m_clean (1, .79, .63, .41, .28, .21, .16
at ages 0, 1, 3, 7, 15, 31, 63). A Gaussian prior pulls it towards ones; its strength against the
likelihood is that of one user, so it matters less the more users there are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.config import TemporalConfig
from diffrec.models.recency import KNOT_AGES, RecencyCurve

_FLAT = -3.0
"""Offset of beta before softplus: beta starts at 0.05, so weights start near ones."""

_LOG2_TAU = 2.0
"""Initial value and prior mean of log2 tau."""


class MonotoneRecencyCurve(RecencyCurve):
    """Curve W as a power law of the age; its interface is that of the free curve."""

    def __init__(self, num_rows: int = 1) -> None:
        nn.Module.__init__(self)
        self.shape = nn.Parameter(torch.zeros(num_rows, 2))

    @property
    def log_weights(self) -> Tensor:  # type: ignore[override]
        """Return log w at each knot, shape (num_rows, NUM_KNOTS)."""
        ages = torch.tensor(KNOT_AGES, dtype=self.shape.dtype, device=self.shape.device)
        tau = 2 ** (_LOG2_TAU + self.shape[:, 1:])
        return -self._beta() * torch.log1p(ages / tau)

    def penalty(self) -> Tensor:
        """Return minus the log prior, a scalar: half the squares of beta and of log2 tau's move."""
        return 0.5 * (self._beta().square().sum() + self.shape[:, 1].square().sum())

    def _beta(self) -> Tensor:
        return F.softplus(self.shape[:, :1] + _FLAT)


def build_curve(config: TemporalConfig, num_steps: int) -> RecencyCurve | None:
    """Return the curve that is learned, with a row for each step if so configured, or None."""
    if config.weighting != "learned_recency":
        return None
    curve = MonotoneRecencyCurve if config.recency_curve == "monotone" else RecencyCurve
    return curve(num_steps if config.per_step else 1)
