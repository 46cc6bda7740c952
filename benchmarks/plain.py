"""The published procedure in plain code, as the reference of `speed.py`.

Dense histories of all users, a Python loop over every sample's loss history, the reverse chain over
all items, validation and test each scored on their own, metrics per user in Python. The formulas
are those of the paper; nothing here is meant to be fast or to be used. On a GPU a dense batch is
copied there at each step, as released, and the loss history lies there.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from diffrec.config import RecommenderConfig
from diffrec.data.interactions import Interactions
from diffrec.diffusion.schedules import betas

_WINDOW = 10


class PlainNetwork(nn.Module):
    """The denoising MLP over [dropout(x_t), embedding(t)]."""

    def __init__(self, num_items: int, hidden_dims: tuple[int, ...], embedding: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.embed = nn.Linear(embedding, embedding)
        sizes = [num_items + embedding, *reversed(hidden_dims), *hidden_dims[1:], num_items]
        self.layers = nn.ModuleList(
            nn.Linear(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 1)
        )
        self.dropout = nn.Dropout(0.5)
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.001)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return x_0_hat, shape of x."""
        half = self.embedding // 2
        steps = torch.arange(half, device=t.device).float()
        frequencies = torch.exp(-math.log(10_000) * steps / half)
        angles = t[:, None].float() * frequencies[None]
        embedded = self.embed(torch.cat([angles.cos(), angles.sin()], dim=-1))
        hidden = torch.cat([self.dropout(x), embedded], dim=-1)
        for i, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if i < len(self.layers) - 1:
                hidden = torch.tanh(hidden)
        return hidden


class PlainDiffRec:
    """DiffRec for the x_0 target, trained and evaluated step by step as published."""

    def __init__(self, config: RecommenderConfig, train: Interactions, device: str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self.steps = config.diffusion.num_steps
        self.matrix = torch.zeros(train.num_users, train.num_items)
        self.matrix[train.users(), train.indices.astype(np.int64)] = 1.0
        beta = torch.from_numpy(betas(config.diffusion)).to(self.device)
        self.alpha_bar = torch.cumprod(1 - beta, 0)
        before = torch.cat([torch.ones_like(beta[:1]), self.alpha_bar[:-1]])
        self.coef_x_0 = beta * before.sqrt() / (1 - self.alpha_bar)
        self.coef_x_t = (1 - before) * (1 - beta).sqrt() / (1 - self.alpha_bar)
        network = PlainNetwork(train.num_items, config.denoiser.hidden_dims, 10)
        self.network = network.to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.training.learning_rate, weight_decay=0.0
        )
        self.history = torch.zeros(self.steps, _WINDOW, dtype=torch.float64, device=self.device)
        self.count = torch.zeros(self.steps, dtype=torch.long, device=self.device)

    def epoch(self) -> float:
        """Train on every user once; return the mean loss."""
        self.network.train()
        order = torch.randperm(len(self.matrix))
        total, batches = 0.0, 0
        for start in range(0, len(order), self.config.training.batch_size):
            x_0 = self.matrix[order[start : start + self.config.training.batch_size]]
            x_0 = x_0.to(self.device)
            self.optimizer.zero_grad()
            loss = self._loss(x_0)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
            batches += 1
        return total / batches

    def _loss(self, x_0: Tensor) -> Tensor:
        t, probability = self._sample(len(x_0))
        noise = torch.randn_like(x_0)
        keep = self.alpha_bar[t].sqrt().float()[:, None]
        x_t = keep * x_0 + (1 - self.alpha_bar[t]).sqrt().float()[:, None] * noise
        error = (x_0 - self.network(x_t, t)).square().mean(dim=1)
        snr = self.alpha_bar / (1 - self.alpha_bar)
        weight = torch.where(t == 0, torch.ones_like(snr[t]), snr[t - 1] - snr[t])
        per_row = weight * error
        for step, loss in zip(t, per_row, strict=True):  # one sample after the other, as released
            if self.count[step] == _WINDOW:
                old = self.history.clone()
                self.history[step, :-1] = old[step, 1:]
                self.history[step, -1] = loss.detach()
            else:
                self.history[step, self.count[step]] = loss.detach()
                self.count[step] += 1
        return (per_row / (self.steps * probability)).mean()

    def _sample(self, size: int) -> tuple[Tensor, Tensor]:
        if not bool((self.count == _WINDOW).all()):
            t = torch.randint(self.steps, (size,), device=self.device)
            return t, torch.full((size,), 1 / self.steps, device=self.device)
        p = self.history.square().mean(dim=1).sqrt()
        p = (p / p.sum()) * (1 - 0.001) + 0.001 / self.steps
        t = torch.multinomial(p, size, replacement=True)
        return t, p[t]

    def round(self, seen_and_target: list[tuple[list[Interactions], Interactions]]) -> list[float]:
        """Return recall@20 of each question; the chain is run again for each, as released."""
        return [self._evaluate(seen, target)["recall@20"] for seen, target in seen_and_target]

    @torch.no_grad()
    def scores(self, rows: Tensor) -> Tensor:
        """Return x_0_hat by all T steps over all items."""
        x = rows
        for step in reversed(range(self.steps)):
            t = torch.full((len(x),), step, device=x.device)
            x_0_hat = self.network(x, t)
            x = self.coef_x_0[step].float() * x_0_hat + self.coef_x_t[step].float() * x
        return x

    def _evaluate(self, seen: list[Interactions], target: Interactions) -> dict[str, float]:
        self.network.eval()
        lists: list[list[int]] = []
        for start in range(0, len(self.matrix), self.config.training.batch_size):
            users = np.arange(start, min(start + self.config.training.batch_size, len(self.matrix)))
            scores = self.scores(self.matrix[users].to(self.device))
            for part in seen:
                mine = part.select_users(users)
                scores[mine.users(), mine.indices.astype(np.int64)] = -torch.inf
            lists += scores.topk(100).indices.tolist()
        metrics: dict[str, float] = {}
        for k in (10, 20, 50, 100):
            recall, ndcg, precision, mrr = 0.0, 0.0, 0.0, 0.0
            for user, ranked in enumerate(lists):
                relevant = target.items_of(user).tolist()
                if not relevant:
                    continue
                hits = [1 if item in relevant else 0 for item in ranked[:k]]
                recall += sum(hits) / len(relevant)
                precision += sum(hits) / k
                dcg = sum(hit / math.log2(i + 2) for i, hit in enumerate(hits))
                ndcg += dcg / sum(1 / math.log2(i + 2) for i in range(min(k, len(relevant))))
                mrr += next((1 / (i + 1) for i, hit in enumerate(hits) if hit), 0.0)
            users = sum(1 for user in range(len(lists)) if len(target.items_of(user)))
            for name, value in (("recall", recall), ("ndcg", ndcg)):
                metrics[f"{name}@{k}"] = value / users
            metrics[f"precision@{k}"], metrics[f"mrr@{k}"] = precision / users, mrr / users
        return metrics
