"""Gaussian noise as a module: what is drawn inside a network can be given to it from outside.

A fused run (diffrec.training.fused) draws for each of its trials and puts the values here.
"""

import torch
from torch import Tensor, nn


class Noise(nn.Module):
    """Standard normal noise in the shape of what it is asked with."""

    def forward(self, like: Tensor) -> Tensor:
        """Return noise of the shape, type and device of `like`."""
        return torch.randn_like(like)
