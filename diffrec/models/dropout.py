"""Dropout that draws four mask entries from one 64-bit number.

On a CPU, drawing one Bernoulli variable per entry of a (batch, num_items) matrix costs as much as a
matrix product of the training step; this costs a few per cent of it (benchmarks/dropout.py).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 2**16


class Dropout(nn.Module):
    """Zero each entry with probability p, to the nearest 1/65536, and scale the rest to match.

    The mean is unchanged. `inplace` overwrites the input. On a GPU this is torch's own dropout.
    """

    def __init__(self, p: float, *, inplace: bool = False) -> None:
        super().__init__()
        self.p, self.inplace = p, inplace

    def forward(self, x: Tensor) -> Tensor:
        """Return x with entries dropped in training, x itself in evaluation."""
        dropped = round(self.p * _LEVELS)
        if not self.training or dropped == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p, inplace=self.inplace)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        keep = words.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - _LEVELS // 2
        return (x.mul_(keep) if self.inplace else x.mul(keep)).mul_(_LEVELS / (_LEVELS - dropped))

    def extra_repr(self) -> str:
        """Return what `print(module)` shows."""
        return f"p={self.p}, inplace={self.inplace}"
