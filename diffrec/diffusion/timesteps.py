"""Samplers of the training step t: uniform, or in proportion to the loss.

Source: Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021 (section
3.3), as used by DiffRec.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

WINDOW = 10
UNIFORM_SHARE = 0.001
COLLAPSED_SHARE = 0.95


class Timesteps(NamedTuple):
    """Steps t, shape (batch,), int64, and T * p_t of each, float64: divide the loss by it."""

    t: Tensor
    importance: Tensor


class UniformTimestepSampler(nn.Module):
    """Sampler that draws every step with probability 1 / T."""

    _device_anchor: Tensor

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.register_buffer("_device_anchor", torch.zeros(()), persistent=False)

    def sample(self, batch_size: int) -> Timesteps:
        """Draw `batch_size` steps."""
        device = self._device_anchor.device
        t = torch.randint(self.num_steps, (batch_size,), device=device)
        return Timesteps(t, torch.ones(batch_size, dtype=torch.float64, device=device))

    def update(self, t: Tensor, loss: Tensor) -> None:
        """Do nothing: uniform sampling does not depend on the losses."""


class ImportanceTimestepSampler(nn.Module):
    """Sampler of t with p_t proportional to the RMS of the last ten losses seen at t.

    Uniform until every step has ten losses. Dividing the loss by T * p_t keeps its expectation
    unchanged. The remembered losses are in `state_dict`.
    """

    history: Tensor
    seen: Tensor

    def __init__(self, num_steps: int, window: int = WINDOW) -> None:
        super().__init__()
        self.num_steps, self.window = num_steps, window
        self.register_buffer("history", torch.zeros(num_steps, window, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(num_steps, dtype=torch.long))

    def weighted_history(self) -> Tensor:
        """Return the remembered losses, weighted if weights are learned, (num_steps, window)."""
        return self.history

    def probabilities(self) -> Tensor:
        """Return p_t, shape (num_steps,), float64."""
        uniform = torch.full_like(self.history[:, 0], 1 / self.num_steps)
        rms = self.weighted_history().square().mean(dim=1).sqrt()
        total = rms.sum()
        weighted = (1 - UNIFORM_SHARE) * rms / total + UNIFORM_SHARE * uniform
        # one expression for both phases: an `if` here would stall a GPU at every batch
        is_warm = (self.seen.min() >= self.window) & (total > 0)
        return torch.where(is_warm, weighted, uniform)

    def sample(self, batch_size: int) -> Timesteps:
        """Draw `batch_size` steps."""
        p = self.probabilities()
        t = draw(p.detach(), batch_size)
        return Timesteps(t, p[t] * self.num_steps)

    @torch.no_grad()
    def update(self, t: Tensor, loss: Tensor) -> None:
        """Add the losses at steps t, both (batch,), to the memory: the newest ten of each step."""
        order = torch.argsort(t, stable=True)
        t, loss = t[order], loss[order].to(self.history.dtype)
        group = torch.zeros_like(self.seen).index_add_(0, t, torch.ones_like(t))
        rank = torch.arange(len(t), device=t.device) - (group.cumsum(0) - group)[t]
        slot = (self.seen[t] + rank) % self.window
        # Older losses of a group would overwrite newer ones: they are written to a spare row.
        # Selecting instead would make the shape depend on the data.
        newest = rank >= group[t] - self.window
        padded = torch.cat([self.history, self.history[:1]])
        padded[torch.where(newest, t, self.num_steps), slot] = loss
        self.history.copy_(padded[:-1])
        self.seen += group


def draw(p: Tensor, batch_size: int) -> Tensor:
    """Draw steps with probabilities p, shape (num_steps,); uniformly if any is not finite.

    A loss that is not finite is reported at the end of the epoch; until then multinomial would
    abort the GPU's context.
    """
    p = torch.where(p.isfinite().all(), p, torch.ones_like(p))
    return torch.multinomial(p, batch_size, replacement=True)


class LearnedTimestepSampler(ImportanceTimestepSampler):
    """Importance sampler with a learned weight for every step and remembered loss.

    W, shape (num_steps, window), multiplies the losses: W[t, j] the j-th newest at t. It has its
    gradient through 1 / p_t, by which the loss is divided. It is positive and starts at ones, or is
    as the reproduction study ran it: `raw`, uniform at the start, the newest loss last.

    This W can carry no time. Its objective at given losses is sum_i L_i / p_(t_i); with a batch
    drawn from p itself the gradient with respect to log W[s, :], summed over j, is
    p_s * sum_u m_u - m_s times a constant, where m_s is the mean loss of step s. It vanishes where
    p_s is proportional to m_s. Without W p_s is proportional to the root mean square of the same
    losses. So W exchanges one for the other, whichever of the remembered losses it does it with.

    Without `per_step` all steps share one row, (1, window).

    Source: the reproduction study's learned temporal weighting (its section 4.3); as its text
    describes it and as it was run: docs/science/deviations.md.
    """

    def __init__(
        self,
        num_steps: int,
        window: int = WINDOW,
        *,
        per_step: bool = True,
        init: Literal["ones", "uniform"] = "ones",
        raw: bool = False,
        newest_last: bool = False,
    ) -> None:
        """Build with W at its start.

        Args:
            num_steps: rows of W, unless they share one.
            window: columns of W.
            per_step: W has a row for each step.
            init: W at the start: ones, or uniform from torch's global generator.
            raw: the parameter is W itself, which may become negative, in place of its logarithm.
            newest_last: the last column of W weighs the newest loss, not the first.
        """
        super().__init__(num_steps, window)
        self._newest_last = newest_last
        shape = (num_steps if per_step else 1, window)
        start = torch.ones(shape, dtype=torch.float64)
        if init == "uniform":
            start = torch.rand(shape, dtype=torch.float64).clamp_min(torch.finfo().tiny)
        if raw:
            self.weights = nn.Parameter(start)
        else:
            self.log_weights = nn.Parameter(start.log())

    def knots(self) -> Tensor:
        """Return W, shape (num_steps, window), or (1, window)."""
        raw = self._parameters.get("weights")
        return self.log_weights.exp() if raw is None else raw

    def check_collapse(self) -> str | None:
        """Return a warning if W gives almost all the sampling to one step, else None."""
        with torch.no_grad():
            share, step = self.probabilities().max(dim=0)
        if self.num_steps == 1 or float(share) <= COLLAPSED_SHARE:
            return None
        return (
            f"Diffusion step {int(step)} is drawn with probability {float(share):.0%}: the learned "
            "weights leave the others untrained; lower the rate of W."
        )

    def weighted_history(self) -> Tensor:
        """Return W * losses in the places of the losses; ones in place of losses not seen yet."""
        slot = torch.arange(self.window, device=self.seen.device)
        column = (self.seen[:, None] - 1 - slot) % self.window  # 0: the newest
        if self._newest_last:
            column = self.window - 1 - column
        # an unseen loss is zero, and the gradient of sqrt at zero is not a number
        losses = self.history.where(self.history > 0, torch.ones_like(self.history))
        is_warm = self.seen.min() >= self.window
        weights = self.knots().expand(self.num_steps, -1)
        return weights.gather(1, column) * losses.where(~is_warm, self.history)
