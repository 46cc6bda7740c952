"""The weights of several runs as one tensor each, and a training step over all of them."""

from collections.abc import Sequence
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from diffrec.data.batches import dense_rows
from diffrec.devices import send, spread
from diffrec.diffusion.timesteps import ImportanceTimestepSampler, draw
from diffrec.models.recommender import DiffusionRecommender
from diffrec.training.mapped import SAMPLER, MappedLoss, MappedSampler
from diffrec.training.run import TrainingRun
from diffrec.training.streams import Streams


class Stack:
    """Stacks the members' state, (K, ...) each; until `release` a member's own are views of it."""

    def __init__(self, runs: Sequence[TrainingRun]) -> None:
        self._runs, self._models = runs, [recommender(run) for run in runs]
        first = self._models[0]
        self.device = first.device
        named = [model.state_dict(keep_vars=True) for model in self._models]
        parameters = dict(first.named_parameters())
        self._state: dict[str, Tensor] = {}
        for name in named[0]:
            own = [state[name] for state in named]
            stacked = torch.stack([tensor.detach() for tensor in own])
            for tensor, view in zip(own, stacked, strict=True):
                tensor.data = view
            self._state[name] = stacked.requires_grad_(name in parameters)
        # W of the learned recency has no part in this loss: it is taught after the epoch
        self._taught = [name for name in parameters if not name.startswith("recency.")]
        self._own = [[state[name] for name in self._taught] for state in named]
        self._loss, self._sampler = MappedLoss(first), None
        if isinstance(first.timestep_sampler, ImportanceTimestepSampler):
            self._sampler = MappedSampler(first)
        inputs, targets = runs[0].weights
        self._separate = inputs is not targets

    def release(self) -> None:
        """Give each member a copy of what was a view."""
        for model in self._models:
            for tensor in model.state_dict(keep_vars=True).values():
                tensor.data = tensor.data.clone()

    def backward(self, users: Sequence[np.ndarray], streams: Streams) -> Tensor:
        """Set every member's gradients from a batch of its users; return the losses, shape (K,)."""
        x_0 = self._rows(users, which=0)
        target = self._rows(users, which=1) if self._separate else None
        given = self._draw(x_0, streams)
        with self._runs[0].autocast():
            losses, per_row = self._loss(self._state, given, x_0, target)
        taught = [self._state[name] for name in self._taught]
        gradients = torch.autograd.grad(losses.sum(), taught, allow_unused=True)
        if self._sampler is not None:
            self._sampler.update(self._state, given[SAMPLER + "t"], per_row.detach())
        for i, gradient in enumerate(gradients):
            # contiguous: the fused optimiser reads a gradient as it lies in memory
            own_views = repeat(None) if gradient is None else gradient.contiguous().unbind()
            for own, view in zip(self._own, own_views):  # noqa: B905 - `repeat` has no end
                own[i].grad = view
        return losses.detach()

    def _rows(self, users: Sequence[np.ndarray], *, which: int) -> Tensor:
        """Return each member's batch, (K, batch, num_items), weighted as it asks."""
        train = self._runs[0].split.train
        shape = len(users), len(users[0]), train.num_items
        if self.device.type == "cpu":
            buffer = np.empty(shape, dtype=np.float32)
            for run, who, out in zip(self._runs, users, buffer, strict=True):
                dense_rows(train, who, run.weights[which], out)
            return torch.from_numpy(buffer)
        rows = torch.zeros(shape, device=self.device)
        for run, who, own in zip(self._runs, users, rows, strict=True):
            spread(own, train, who, run.weights[which])
        return rows

    def _draw(self, x_0: Tensor, streams: Streams) -> dict[str, Tensor]:
        """Draw all that the loss asks for, member by member, in the order of its asking."""
        first, (count, batch, _) = self._models[0], x_0.shape
        latent = first.autoencoder is not None
        p = None if self._sampler is None else self._sampler.probabilities(self._state)
        noise = x_0.new_empty(count, batch, first.denoiser.dim)
        mask = torch.empty_like(noise)
        item_mask = torch.empty_like(x_0 if latent else noise[:, :0])
        latent_noise = torch.empty_like(noise if latent else noise[:, :0])
        t = torch.empty(count, batch, dtype=torch.long, device=self.device)
        for k, model in enumerate(self._models):
            with streams.of(k):
                if model.autoencoder is not None:
                    model.autoencoder.dropout.fill_mask(item_mask[k])
                    if model.autoencoder.variational:
                        latent_noise[k].normal_()
                if p is None:
                    t[k] = model.timestep_sampler.sample(batch).t
                else:
                    t[k] = draw(p[k].detach(), batch)
                noise[k].normal_()
                model.denoiser.dropout.fill_mask(mask[k])
        importance = torch.ones(count, batch, dtype=torch.float64, device=self.device)
        if p is not None:
            importance = p.gather(1, t) * p.shape[1]
        given = {"noise.value": noise, "denoiser.dropout.value": mask}
        given |= {SAMPLER + "t": t, SAMPLER + "importance": importance}
        if latent:
            given["autoencoder.dropout.value"] = item_mask
            given["autoencoder.noise.value"] = latent_noise
            given |= self._loss_weights()
        return given

    def _loss_weights(self) -> dict[str, Tensor]:
        """Return each member's weights of L-DiffRec's losses in the coming batch, (K,) each."""
        weights = [
            model.annealing(run.epoch, model.batches_seen + 1)
            for run, model in zip(self._runs, self._models, strict=True)
        ]

        def stacked(values: list[float | Tensor]) -> Tensor:
            numbers = [v for v in values if not isinstance(v, Tensor)]
            if len(numbers) == len(values):
                return send(np.array(numbers, dtype=np.float32), self.device)
            return torch.stack([v.to(torch.float32) for v in values if isinstance(v, Tensor)])

        return {
            "annealing.diffusion": stacked([w.diffusion for w in weights]),
            "annealing.kl": stacked([w.kl for w in weights]),
        }


def recommender(run: TrainingRun) -> DiffusionRecommender:
    """Return the run's model, which only a diffusion recommender's run may be asked for."""
    assert isinstance(run.model, DiffusionRecommender)
    return run.model
