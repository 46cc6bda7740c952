"""Graph-signal diffusion: the forward process smooths a history, the network restores it.

Written from the ideas of Zhu et al., "Graph Signal Diffusion Model for Collaborative Filtering",
SIGIR 2024 (arXiv 2311.08744); details that the text leaves open are ours.
"""

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec.data import Interactions, TuningSplit
from diffrec.models.base import Recommender
from diffrec.models.noise import UserNoise
from diffrec.runtime.devices import rows_on
from giffcf.config import GiffCFConfig


class GiffCF(Recommender):
    """Recommender that sharpens a smoothed history, given the history itself.

    z_t = F_t x + sigma_t e with F_t = (1 - s_t) I + s_t S, where S filters signals on the graph of
    items, s_t rises linearly from 0 to `smoothing` and sigma_t from 0 to `noise_scale`.
    """

    filter: Tensor

    def __init__(self, config: GiffCFConfig, num_items: int) -> None:
        super().__init__(config, num_items)
        self.register_buffer("filter", torch.zeros(num_items, num_items))
        self.embedding = nn.Parameter(torch.randn(num_items, config.dim) * 0.1 / config.dim**0.5)
        self.step = nn.Embedding(config.num_steps + 1, config.dim)
        self.latent = nn.Sequential(
            nn.Linear(3 * config.dim, config.dim), nn.SiLU(), nn.Linear(config.dim, config.dim)
        )
        self.mixer = nn.Linear(config.dim, 2)

    def prepare(self, split: TuningSplit) -> None:
        """Compute S of the train interactions: normalised adjacency and its low frequencies."""
        train = split.train
        ones = np.ones(train.nnz, dtype=np.float32)
        shape = train.num_users, train.num_items
        matrix = csr_matrix((ones, train.indices, train.indptr), shape)
        by_user, by_item = (
            diags(1 / np.sqrt(np.maximum(np.asarray(matrix.sum(axis)).ravel(), 1)))
            for axis in (1, 0)
        )
        normal = by_user @ matrix @ by_item
        adjacency = torch.from_numpy((normal.T @ normal).toarray().astype(np.float32))
        vectors = torch.linalg.eigh(adjacency)[1][:, -self.config.rank :]
        low = vectors @ vectors.T
        self.filter.copy_((adjacency + self.config.low_pass * low) / (1 + self.config.low_pass))

    def training_loss(self, x_0: Tensor, target: Tensor, epoch: int | Tensor) -> Tensor:
        """Return the squared error of x_0_hat at random steps."""
        t = torch.randint(1, self.config.num_steps + 1, (len(x_0), 1), device=x_0.device)
        share = t / self.config.num_steps
        history = F.dropout(x_0, self.config.dropout) * (1 - self.config.dropout)
        filtered = x_0 @ self.filter
        z_t = self._smooth(x_0, filtered, share)
        if self.config.noise_scale:
            z_t = z_t + self.config.noise_scale * share * torch.randn_like(z_t)
        x_0_hat = self._denoise(z_t, history, history @ self.filter, t[:, 0])
        return (x_0_hat - target).square().sum(dim=1).mean()

    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Run the deterministic reverse chain from the smoothed history."""
        config, x = self.config, rows_on(self.device, history, users)
        filtered = x @ self.filter
        z_t, x_0_hat = self._smooth(x, filtered, 1.0), x
        if config.noise_scale:
            z_t = z_t + config.noise_scale * UserNoise(config.seed, users)(z_t)
        for step in range(config.num_steps, 0, -1):
            t = torch.full((len(x),), step, device=x.device)
            x_0_hat = self._denoise(z_t, x, filtered, t)
            now, before = step / config.num_steps, (step - 1) / config.num_steps
            smoothed = x_0_hat @ self.filter
            rest = z_t - self._smooth(x_0_hat, smoothed, now)
            z_t = self._smooth(x_0_hat, smoothed, before) + before / now * rest
        return x_0_hat

    def _smooth(self, x: Tensor, filtered: Tensor, share: Tensor | float) -> Tensor:
        """Return F_t x, given S x and t / T."""
        return x + self.config.smoothing * share * (filtered - x)

    def _denoise(self, z_t: Tensor, history: Tensor, filtered: Tensor, t: Tensor) -> Tensor:
        """Return x_0_hat, (batch, num_items).

        First a latent vector of the user, from both signals, scores the items; then it says how
        much of the history itself, filtered and not, is added. Of z_t nothing is added: at early
        steps it holds the items that were dropped from the history, and would be copied.
        """
        signals = F.normalize(history) @ self.embedding, F.normalize(z_t) @ self.embedding
        latent = self.latent(torch.cat((*signals, self.step(t)), dim=1))
        share = self.mixer(latent)[:, :, None]
        coarse = (latent + signals[0]) @ self.embedding.T
        return coarse + share[:, 0] * history + share[:, 1] * filtered
