"""Diffusion over items with a denoiser of linear attention in place of DiffRec's MLP.

Each item asks (query) what the items of x_t say (key, value). The attention's kernel is a product
of features, so it costs O(items) a user, not O(items^2) (Katharopoulos et al., ICML 2020).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.config import DiffusionConfig, ExternalConfig, TrainingConfig
from diffrec.data import Interactions
from diffrec.diffusion.process import GaussianProcess
from diffrec.models.base import Recommender
from diffrec.runtime.devices import rows_on

_TRAINING = TrainingConfig(learning_rate=1e-2, max_epochs=200)


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearAttentionConfig(ExternalConfig):
    """Everything that can be searched; `training` is as in DiffRec."""

    name: ClassVar[str] = "LinearAttention"
    model: ClassVar[str] = "LinearAttention"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"embedded": {"training.batch_size": 100}}

    num_heads: int = 16
    head_dim: int = 4
    dropout: float = 0.3
    num_steps: int = 5
    noise_scale: float = 0.1
    training: TrainingConfig = _TRAINING


class LinearAttention(Recommender):
    """Recommender that denoises a history by attention between items."""

    def __init__(self, config: LinearAttentionConfig, num_items: int) -> None:
        super().__init__(config, num_items)
        heads, dim = config.num_heads, config.head_dim
        self.queries, self.keys, self.values = (
            nn.Parameter(torch.randn(num_items, heads, dim) / dim**0.5) for _ in range(3)
        )
        self.readout = nn.Parameter(torch.randn(config.num_steps, heads, dim) / dim)
        steps, scale = config.num_steps, config.noise_scale
        self.process = GaussianProcess(
            DiffusionConfig(num_steps=steps, noise_scale=scale, loss_weighting="uniform")
        )

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return x_0_hat, shape (batch, num_items)."""
        asked, told = F.softmax(self.queries, dim=-1), F.softmax(self.keys, dim=-1)
        weights = F.normalize(F.dropout(x_t, self.config.dropout, self.training))
        memory = torch.einsum("nhk,nhv->nhkv", told, self.values).flatten(1)
        heads = (weights @ memory).unflatten(1, (*self.readout.shape[1:], -1))
        read = torch.einsum("bhkv,bhv->bhk", heads, self.readout[t])
        return read.flatten(1) @ asked.flatten(1).T

    def training_loss(self, x_0: Tensor, target: Tensor, epoch: int | Tensor) -> Tensor:
        """Return the squared error of x_0_hat at random steps."""
        t = torch.randint(len(self.readout), (len(x_0),), device=x_0.device)
        noise = torch.randn_like(x_0)
        loss = self.process.training_loss(self, x_0, target, t, noise, wants_x_0_hat=False)
        return loss.per_row.mean()

    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return the end of the reverse chain, shape (len(users), num_items)."""
        return self.process.reverse_chain(self, rows_on(self.device, history, users))
