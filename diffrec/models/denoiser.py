"""Network f_theta(x_t, t): an MLP over x_t and a step embedding; its tanh is ours, for speed.

Source: Wang et al., "Diffusion Recommender Model", SIGIR 2023, section 3.3.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.config import DenoiserConfig
from diffrec.diffusion.chain import ChainNetwork
from diffrec.models.chunked_linear import ChunkedLinear
from diffrec.models.dropout import Dropout


class Denoiser(ChainNetwork):
    """MLP f([dropout(x_t), W tau(t)]) with tanh between layers and none on the output.

    `hidden_dims` [200, 600] means dim -> 600 -> 200 -> 600 -> dim.
    """

    def __init__(self, dim: int, config: DenoiserConfig) -> None:
        super().__init__()
        self.dim = dim
        self.normalize_input = config.normalize_input
        self.dropout = Dropout(config.dropout, inplace=True)
        embedding_dim = config.timestep_embedding_dim
        self.timestep_embedding_dim = embedding_dim
        self.timestep_layer = nn.Linear(embedding_dim, embedding_dim)
        sizes = [*reversed(config.hidden_dims), *config.hidden_dims[1:], dim]
        # The released first layer reads [x_t, embedding]; its two blocks of columns are separate
        # here, so that the collapsed chain can use W_x and no gradient is sliced.
        self.input_layer = ChunkedLinear(dim, sizes[0])
        self.timestep_to_hidden = nn.Linear(embedding_dim, sizes[0], bias=False)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes[:-1]))
        self.layers.append(ChunkedLinear(sizes[-2], dim))
        self._initialise(config.bias_init_std)

    def _initialise(self, bias_std: float) -> None:
        joint_std = math.sqrt(
            2 / (self.dim + self.timestep_embedding_dim + self.input_layer.out_features)
        )
        for layer in (self.input_layer, self.timestep_to_hidden):
            nn.init.normal_(layer.weight, std=joint_std)
        for layer in (self.timestep_layer, *self.layers):
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_normal_(layer.weight)  # N(0, 2 / (fan_in + fan_out))
        for layer in (self.input_layer, self.timestep_layer, *self.layers):
            nn.init.normal_(layer.bias, std=bias_std)  # type: ignore[arg-type]

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the prediction, shape (batch, dim).

        Args:
            x_t: noised vectors, shape (batch, dim); in training, dropout overwrites them.
            t: zero-based steps, shape (batch,).
        """
        if self.normalize_input:
            x_t = F.normalize(x_t)
        product = self.input_layer.product(self.dropout(x_t))
        return self.last(self.between(product + self._embed_steps(t) + self.input_layer.bias))

    def step_bias(self, t: Tensor) -> Tensor:
        """Return b_t, (len(t), first_hidden)."""
        return self._embed_steps(t) + self.input_layer.bias

    def between(self, first: Tensor) -> Tensor:
        """Return h_t, (batch, last_hidden)."""
        hidden = tanh(first)
        for layer in list(self.layers)[:-1]:
            hidden = tanh(layer(hidden))
        return hidden

    @property
    def input_weight(self) -> Tensor:
        """W_x, shape (first_hidden, dim)."""
        return self.input_layer.weight

    def _embed_steps(self, t: Tensor) -> Tensor:
        """Return the embedding of steps t in the first hidden layer, (len(t), first_hidden)."""
        sinusoids = self._sinusoids(t, self.timestep_layer.weight.dtype)
        return self.timestep_to_hidden(self.timestep_layer(sinusoids))

    def _sinusoids(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        half = self.timestep_embedding_dim // 2
        frequencies = torch.exp(
            -math.log(10_000) * torch.arange(half, dtype=torch.float32, device=t.device) / half
        )
        angles = t[:, None].float() * frequencies
        embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)
        if self.timestep_embedding_dim % 2:
            embedding = F.pad(embedding, (0, 1))
        return embedding.to(dtype)


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent; without gradients, on a CPU, `x` is overwritten.

    Ours, since torch's takes several times as long on a CPU, a third of the time of the reverse
    chain's products (benchmarks/tanh.py). Computed as 2 / (1 + e^{-2x}) - 1, exact to 3e-7.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return torch.tanh(x)
    x = x.float() if x.element_size() < 4 else x
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)
