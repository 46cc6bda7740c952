"""How much the parts of L-DiffRec's loss count, epoch by epoch and batch by batch."""

from typing import NamedTuple

from torch import Tensor, nn

from diffrec.config import AutoencoderConfig


class LossWeights(NamedTuple):
    """Lambda on the diffusion loss, gamma on the KL term."""

    diffusion: float | Tensor
    kl: float | Tensor


class Annealing(nn.Module):
    """Lambda falls with the epochs, gamma rises with the batches.

    Source: Wang et al., SIGIR 2023, section 3.5, with the released code's schedules.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self._config = config

    def forward(self, epoch: int, batches_seen: Tensor) -> LossWeights:
        """Return the weights of a batch.

        Args:
            epoch: zero-based.
            batches_seen: of all epochs, this one included; scalar.
        """
        config = self._config
        fall = config.diffusion_weight_anneal_epochs
        remaining = 1 - epoch / fall if fall else 1.0
        diffusion = max(remaining * config.diffusion_weight, config.diffusion_weight_min)
        rise = config.kl_weight_anneal_batches
        if not rise:
            return LossWeights(diffusion, config.kl_weight_max)
        return LossWeights(diffusion, ((batches_seen - 1) / rise).clamp(max=config.kl_weight_max))
