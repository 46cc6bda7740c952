"""Annealed weights of the terms of L-DiffRec's loss."""

from typing import NamedTuple

from torch import Tensor, nn

from diffrec.config import AutoencoderConfig


class LossWeights(NamedTuple):
    """Weights of a batch: lambda on the diffusion loss, gamma on the KL term."""

    diffusion: float | Tensor
    kl: float | Tensor


class Annealing(nn.Module):
    """Schedules of both weights: lambda falls by epochs, gamma rises by batches.

    Source: Wang et al., SIGIR 2023, section 3.5, with the released code's schedules.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self._config = config

    def forward(self, epoch: int | Tensor, batches_seen: Tensor) -> LossWeights:
        """Return the weights of a batch.

        Args:
            epoch: zero-based epoch; a float64 scalar inside a CUDA graph.
            batches_seen: batches of all epochs including this one, scalar.
        """
        config = self._config
        diffusion, minimum = config.diffusion_weight, config.diffusion_weight_min
        anneal_epochs = config.diffusion_weight_anneal_epochs
        annealed = (1 - epoch / anneal_epochs) * diffusion if anneal_epochs else diffusion
        if isinstance(annealed, Tensor):
            diffusion = annealed.clamp(min=minimum).float()
        else:
            diffusion = max(annealed, minimum)
        anneal_batches = config.kl_weight_anneal_batches
        if not anneal_batches:
            return LossWeights(diffusion, config.kl_weight_max)
        return LossWeights(
            diffusion, ((batches_seen - 1) / anneal_batches).clamp(max=config.kl_weight_max)
        )
