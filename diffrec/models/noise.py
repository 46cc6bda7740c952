"""Gaussian noise of training and of the reverse chain."""

import numpy as np
import torch
from torch import Tensor, nn

from diffrec.runtime.seeding import derive_seed


class Noise(nn.Module):
    """Module that returns standard normal noise.

    A module, so that fused runs (`diffrec.training.fused.vmapped`) can replace it and inject the
    noise of each run.
    """

    def forward(self, like: Tensor) -> Tensor:
        """Return noise of the shape, type and device of `like`."""
        return torch.randn_like(like)


class UserNoise:
    """Standard normal noise with one generator per user.

    Rankings then depend neither on the batch size nor on the device: all values are drawn on the
    CPU, and a GPU waits for them.
    """

    def __init__(self, seed: int, users: np.ndarray) -> None:
        """Seed each user's generator.

        Args:
            seed: seed of the model's configuration.
            users: user ids, shape (batch,).
        """
        seeds = [derive_seed(seed, "chain", int(user)) for user in users]
        self._generators = [torch.Generator().manual_seed(value) for value in seeds]

    def __call__(self, like: Tensor) -> Tensor:
        """Return the next noise of each user, (batch, dim), of the type and device of `like`."""
        noise = torch.empty(like.shape)
        for row, generator in zip(noise, self._generators, strict=True):
            row.normal_(generator=generator)
        return noise.to(like)
