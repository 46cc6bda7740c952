"""MultVAE: a variational autoencoder whose decoder is a multinomial over all items.

Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.config.baselines import MultVAEConfig
from diffrec.data.interactions import Interactions
from diffrec.models.autoencoder import gaussian_kl, mlp, multinomial_nll
from diffrec.models.base import Recommender
from diffrec.models.dropout import Dropout
from diffrec.runtime.devices import rows_on


class MultVAE(Recommender):
    """Encodes a normalised history into a Gaussian, decodes its mean into a score per item."""

    is_capturable = True
    batches_seen: Tensor

    def __init__(self, config: MultVAEConfig, num_items: int) -> None:
        """Build with fresh weights from torch's global generator."""
        super().__init__(config, num_items)
        encoder_sizes = [num_items, *config.hidden_dims]
        self.dropout = Dropout(config.dropout)
        self.encoder = mlp([*encoder_sizes, 2 * config.latent_dim], nn.Tanh, initialise=_initialise)
        decoder_sizes = [config.latent_dim, *reversed(encoder_sizes)]
        self.decoder = mlp(decoder_sizes, nn.Tanh, initialise=_initialise)
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))

    def training_loss(self, x_0: Tensor, target: Tensor, epoch: int | Tensor) -> Tensor:
        """Return the negative evidence lower bound of a batch, its KL term weighted, a scalar.

        Args:
            x_0: histories, shape (batch, num_items).
            target: vectors to reconstruct, same shape.
            epoch: zero-based epoch; the KL weight rises by batches and does not need it.
        """
        self.batches_seen += 1
        mu, log_variance = self._encode(self.dropout(F.normalize(x_0)))
        latent = mu + (log_variance / 2).exp() * torch.randn_like(mu)
        kl = gaussian_kl(mu, log_variance)
        return multinomial_nll(self.decoder(latent), target) + self._kl_weight() * kl

    @torch.no_grad()
    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items)."""
        x_0 = rows_on(self.device, history, users)
        return self.decoder(self._encode(F.normalize(x_0))[0])

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.batches_seen.device

    def _encode(self, x_0: Tensor) -> tuple[Tensor, ...]:
        return self.encoder(x_0).chunk(2, dim=-1)

    def _kl_weight(self) -> Tensor | float:
        bound, anneal_batches = self.config.kl_weight_max, self.config.kl_weight_anneal_batches
        return (
            bound * (self.batches_seen / anneal_batches).clamp(max=1) if anneal_batches else bound
        )


def _initialise(layer: nn.Linear) -> None:
    nn.init.xavier_normal_(layer.weight)
    nn.init.trunc_normal_(layer.bias, std=0.001)
