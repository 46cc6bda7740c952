"""L-DiffRec's autoencoder: one encoder per cluster of items, and a decoder back to the items.

Inputs and outputs keep the dataset's item order (the released code ranks in cluster order and maps
back): each encoder reads its cluster's columns, each decoder's output returns to those columns.

Source: Wang et al., "Diffusion Recommender Model", SIGIR 2023, section 3.5; Liang et al. 2018 for
the multinomial likelihood.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.config import AutoencoderConfig
from diffrec.errors import UserError
from diffrec.models.dropout import Dropout
from diffrec.models.noise import Noise

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
}


class Encoded(NamedTuple):
    """Latent (batch, latent_dim), KL to the standard normal (scalar), the dropped-out input."""

    latent: Tensor
    kl: Tensor
    x_0: Tensor


class ClusteredAutoencoder(nn.Module):
    """Encoders per cluster, one Gaussian latent shared in proportion to the clusters' sizes.

    The encoder ends in its activation, as released: with tanh, mean and log-variance lie in
    (-1, 1). Empty clusters have no encoder.
    """

    cluster_ids: Tensor
    columns: Tensor
    restore: Tensor

    def __init__(self, config: AutoencoderConfig, cluster_ids: np.ndarray) -> None:
        super().__init__()
        num_items = len(cluster_ids)
        sizes = [int(n) for n in np.bincount(cluster_ids) if n]
        order = np.argsort(cluster_ids, kind="stable")
        self.register_buffer("cluster_ids", torch.from_numpy(cluster_ids.copy()))
        self.register_buffer("columns", torch.from_numpy(order.copy()))
        self.register_buffer("restore", torch.from_numpy(np.argsort(order)))
        self.cluster_sizes = sizes
        self.latent_dims = split_units(config.latent_dim, sizes, "latent_dim")
        self.variational = config.variational
        self.dropout = Dropout(config.dropout)
        self.noise = Noise()
        self.encoders = self._build_encoders(config)
        self.decoders = self._build_decoders(config, num_items)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def encode(self, x_0: Tensor) -> Encoded:
        """Compress histories, shape (batch, num_items); in training the latent is sampled."""
        dropped = self.dropout(x_0)
        parts = [
            encoder(part).chunk(2, dim=-1)
            for encoder, part in zip(self.encoders, self._split(dropped), strict=True)
        ]
        # float32 from here on, whatever the products' precision
        mu = torch.cat([mu for mu, _ in parts], dim=-1).float()
        log_variance = torch.cat([log_variance for _, log_variance in parts], dim=-1).float()
        latent = mu
        if self.training and self.variational:
            latent = mu + (log_variance / 2).exp() * self.noise(mu)
        return Encoded(latent, gaussian_kl(mu, log_variance), dropped)

    def first_layers(self) -> Tensor:
        """Return the encoders' first layers as one matrix, (num_items, sum of their units).

        An item's row holds its weights in its own cluster's encoder and zeros for the others, so
        that a sparse history times this matrix gives the first products of all encoders at once.
        """
        weights = [_first(encoder).weight for encoder in self.encoders]
        matrix = weights[0].new_zeros(len(self.columns), sum(len(weight) for weight in weights))
        units = 0
        for items, weight in zip(self.columns.split(self.cluster_sizes), weights, strict=True):
            matrix[items, units : units + len(weight)] = weight.T
            units += len(weight)
        return matrix

    def latent_of(self, products: Tensor) -> Tensor:
        """Return the latent mean, (batch, latent_dim), of histories @ `first_layers`."""
        sizes = [_first(encoder).out_features for encoder in self.encoders]
        parts = []
        for encoder, part in zip(self.encoders, products.split(sizes, dim=-1), strict=True):
            assert isinstance(encoder, nn.Sequential)
            parameters = encoder[1:](part + _first(encoder).bias)
            parts.append(parameters.chunk(2, dim=-1)[0])
        return torch.cat(parts, dim=-1)

    def decode(self, latent: Tensor) -> Tensor:
        """Return item scores (logits), shape (batch, num_items), in the items' own order."""
        if len(self.decoders) == 1:
            return self.decoders[0](latent)
        parts = latent.split(self.latent_dims, dim=-1)
        scores = [decoder(part) for decoder, part in zip(self.decoders, parts, strict=True)]
        return torch.cat(scores, dim=-1)[:, self.restore]

    def _split(self, x_0: Tensor) -> tuple[Tensor, ...]:
        if len(self.cluster_sizes) == 1:
            return (x_0,)
        return x_0.index_select(-1, self.columns).split(self.cluster_sizes, dim=-1)

    def _build_encoders(self, config: AutoencoderConfig) -> nn.ModuleList:
        hidden = self._split_dims(config.encoder_hidden_dims, "encoder_hidden_dims")
        activation = _ACTIVATIONS[config.activation]
        return nn.ModuleList(
            mlp([size, *dims, 2 * latent], activation, at_end=True)
            for size, *dims, latent in zip(
                self.cluster_sizes, *hidden, self.latent_dims, strict=True
            )
        )

    def _build_decoders(self, config: AutoencoderConfig, num_items: int) -> nn.ModuleList:
        if not config.decoder_per_cluster or len(self.cluster_sizes) == 1:
            all_sizes = [(config.latent_dim, *config.decoder_hidden_dims, num_items)]
        else:
            hidden = self._split_dims(config.decoder_hidden_dims, "decoder_hidden_dims")
            all_sizes = zip(self.latent_dims, *hidden, self.cluster_sizes, strict=True)
        activation = _ACTIVATIONS[config.activation]
        return nn.ModuleList(mlp(sizes, activation) for sizes in all_sizes)

    def _split_dims(self, dims: Sequence[int], name: str) -> list[list[int]]:
        return [split_units(dim, self.cluster_sizes, name) for dim in dims]


def split_units(units: int, sizes: list[int], name: str) -> list[int]:
    """Split `units` in proportion to `sizes`: at least 1 each, the last takes the rest.

    Raises:
        UserError: no unit is left for the last one.
    """
    total = sum(sizes)
    shares = [max(1, size * units // total) for size in sizes[:-1]]
    remainder = units - sum(shares)
    if remainder < 1:
        raise UserError(
            f"`autoencoder.{name}` = {units} is too small for clusters of {sizes} items; "
            "enlarge it or use fewer clusters."
        )
    return [*shares, remainder]


def multinomial_nll(scores: Tensor, x_0: Tensor) -> Tensor:
    """Return the mean over users of -sum_i x_0[i] log softmax(scores)[i]."""
    return -(F.log_softmax(scores.float(), dim=-1) * x_0).sum(dim=-1).mean()


def gaussian_kl(mu: Tensor, log_variance: Tensor) -> Tensor:
    """Return the mean over rows of KL(N(mu, exp(log_variance)) || N(0, 1)), a scalar.

    Both arguments have shape (batch, latent_dim). Source: Kingma and Welling 2014, appendix B.
    """
    return -0.5 * (1 + log_variance - mu.square() - log_variance.exp()).sum(dim=-1).mean()


def mlp(
    sizes: Sequence[int],
    activation: type[nn.Module],
    *,
    at_end: bool = False,
    initialise: Callable[[nn.Linear], None] | None = None,
) -> nn.Sequential:
    """Return linear layers between `sizes` with activations between them.

    Args:
        sizes: units of every layer, input and output included.
        activation: class of the activations.
        at_end: whether one follows the last layer, too.
        initialise: called on each layer as soon as it is made; None keeps torch's own weights.
    """
    layers: list[nn.Module] = []
    for num_in, num_out in pairwise(sizes):
        layer = nn.Linear(num_in, num_out)
        if initialise is not None:
            initialise(layer)
        layers += [layer, activation()]
    return nn.Sequential(*(layers if at_end else layers[:-1]))


def _first(encoder: nn.Module) -> nn.Linear:
    assert isinstance(encoder, nn.Sequential)
    layer = encoder[0]
    assert isinstance(layer, nn.Linear)
    return layer
