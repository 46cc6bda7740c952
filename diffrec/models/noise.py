"""Gaussian noise: of training, and of a reverse chain that draws some."""

import numpy as np
import torch
from torch import Tensor, nn

from diffrec.runtime.seeding import derive_seed


class Noise(nn.Module):
    """Standard normal noise in the shape of what it is asked with.

    A module, so that what is drawn inside a network can be given to it from outside: a fused run
    (diffrec.training.fused.runs) draws for each of its trials and puts the values here.
    """

    def forward(self, like: Tensor) -> Tensor:
        """Return noise of the shape, type and device of `like`."""
        return torch.randn_like(like)


class UserNoise:
    """Standard normal noise that belongs to a user, whoever is scored together with him.

    A ranking then depends neither on how many users memory lets through at a time nor on the
    device: the values are drawn on the CPU, from one generator for each user. A GPU waits for it.
    """

    def __init__(self, seed: int, users: np.ndarray) -> None:
        """Start every user's stream anew.

        Args:
            seed: the model's.
            users: whose noise is drawn, shape (batch,).
        """
        seeds = [derive_seed(seed, "chain", int(user)) for user in users]
        self._generators = [torch.Generator().manual_seed(value) for value in seeds]

    def __call__(self, like: Tensor) -> Tensor:
        """Return the next noise of each user, (batch, dim), of the type and device of `like`."""
        noise = torch.empty(like.shape)
        for row, stream in zip(noise, self._generators, strict=True):
            row.normal_(generator=stream)
        return noise.to(like)
