"""Stacked weights of runs and their joint step; ours, since torch.func stacks no optimisers."""

from collections.abc import Sequence
from functools import partial
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from diffrec.diffusion.timesteps import ImportanceTimestepSampler, draw
from diffrec.models.recommender import DiffusionRecommender
from diffrec.runtime.devices import to_device
from diffrec.runtime.seeding import derive_seed
from diffrec.training.batching import Batch
from diffrec.training.cuda_graphs import CudaGraphedCall
from diffrec.training.fused.rng_streams import RngStreams
from diffrec.training.fused.vmapped import SAMPLER, VmappedLoss, VmappedSampler
from diffrec.training.run import TrainingRun


class RunStack:
    """State of K runs as tensors of shape (K, ...), of which each run's own are views."""

    def __init__(self, runs: Sequence[TrainingRun]) -> None:
        for run in runs:  # its own CUDA graph, and the gradient of W's last update
            run.drop_graph()
            run.optimizer.zero_grad()
        self._runs, self._models = runs, [recommender(run) for run in runs]
        first = self._models[0]
        self.device = first.device
        state_dicts = [model.state_dict(keep_vars=True) for model in self._models]
        parameters = dict(first.named_parameters())
        self._state: dict[str, Tensor] = {}
        for name in state_dicts[0]:
            tensors = [state[name] for state in state_dicts]
            stacked = torch.stack([tensor.detach() for tensor in tensors])
            for tensor, view in zip(tensors, stacked, strict=True):
                tensor.data = view
            self._state[name] = stacked.requires_grad_(name in parameters)
        # W of the learned recency has no part in this loss: it is fitted after the epoch
        self._trained = [name for name in parameters if not name.startswith("recency.")]
        self._run_parameters = [[state[name] for name in self._trained] for state in state_dicts]
        self._loss, self._sampler = VmappedLoss(first), None
        if isinstance(first.timestep_sampler, ImportanceTimestepSampler):
            self._sampler = VmappedSampler(first)
        self._epochs = torch.zeros(len(runs), dtype=torch.float64, device=self.device)
        self.streams = RngStreams(self.device, len(runs))
        self._steps: _GraphedSteps | None = None

    @property
    def batch_size(self) -> int:
        """Number of users in a full batch."""
        return self._runs[0].training.batch_size

    def release(self) -> None:
        """Replace each run's views by copies of its own."""
        self._steps = None
        for model in self._models:
            for tensor in model.state_dict(keep_vars=True).values():
                tensor.data = tensor.data.clone()

    def begin_epoch(self) -> None:
        """Seed every run's random numbers, and set its annealing, for its coming epoch."""
        runs = self._runs
        self.streams.seed([derive_seed(run.config.seed, "epoch", run.epoch) for run in runs])
        epochs = np.array([run.epoch for run in runs], dtype=np.float64)
        self._epochs.copy_(to_device(epochs, self.device))

    def learn(self, batches: Sequence[Batch]) -> Tensor:
        """Update every run's weights once, each by its own batch; all batches have one size.

        Return the losses, (K,); the next call may overwrite them.
        """
        if self._runs[0].uses_cuda_graph and len(batches[0]) == self.batch_size:
            self._steps = self._steps or _GraphedSteps(self)
            return self._steps.run(self, batches)
        rows = self.empty_rows(len(batches[0]))
        write(batches, rows)
        return self.learn_from(rows)

    def learn_from(self, rows: Sequence[Tensor]) -> Tensor:
        """Update all weights by inputs and, if they differ, targets, (K, batch, num_items) each."""
        losses = self._backward(rows[0], rows[1] if len(rows) > 1 else None)
        for run in self._runs:
            run.optimizer.step()
            run.optimizer.zero_grad()  # gradients are not needed after the step
        return losses

    def empty_rows(self, batch: int) -> list[Tensor]:
        """Return empty tensors for batches of that size, one for each of `row_kinds`."""
        shape = len(self._runs), batch, self._runs[0].split.train.num_items
        return [torch.empty(shape, device=self.device) for _ in self._runs[0].loader.row_kinds]

    def _backward(self, x_0: Tensor, target: Tensor | None) -> Tensor:
        """Compute every run's gradients; return the losses, (K,)."""
        injected = self._draw(x_0)
        with self._runs[0].autocast():
            losses, per_row = self._loss(self._state, injected, x_0, target)
        parameters = [self._state[name] for name in self._trained]
        gradients = torch.autograd.grad(losses.sum(), parameters, allow_unused=True)
        if self._sampler is not None:
            self._sampler.update(self._state, injected[SAMPLER + "t"], per_row.detach())
        for i, gradient in enumerate(gradients):
            # contiguous: the fused optimiser reads a gradient in its memory order
            views = repeat(None) if gradient is None else gradient.contiguous().unbind()
            for run_parameters, view in zip(self._run_parameters, views):  # noqa: B905 - `repeat` has no end
                run_parameters[i].grad = view
        return losses.detach()

    def _draw(self, x_0: Tensor) -> dict[str, Tensor]:
        """Draw all random numbers of the loss, run by run, in the order in which it draws them."""
        first, (count, batch, _) = self._models[0], x_0.shape
        latent = first.autoencoder is not None
        p = None if self._sampler is None else self._sampler.probabilities(self._state)
        noise = x_0.new_empty(count, batch, first.denoiser.dim)
        mask = torch.empty_like(noise)
        item_mask = torch.empty_like(x_0 if latent else noise[:, :0])
        latent_noise = torch.empty_like(noise if latent else noise[:, :0])
        t = torch.empty(count, batch, dtype=torch.long, device=self.device)
        for k, model in enumerate(self._models):
            with self.streams.use(k):
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
        injected = {"noise.value": noise, "denoiser.dropout.value": mask}
        injected |= {SAMPLER + "t": t, SAMPLER + "importance": importance}
        if latent:
            injected["autoencoder.dropout.value"] = item_mask
            injected["autoencoder.noise.value"] = latent_noise
            injected |= self._loss_weights()
        return injected

    def _loss_weights(self) -> dict[str, Tensor]:
        """Return the weights of L-DiffRec's losses in the coming batch, (K,) each."""
        weights = [
            model.annealing(epoch, model.batches_seen + 1)
            for epoch, model in zip(self._epochs, self._models, strict=True)
        ]

        def stack_values(values: Sequence[float | Tensor]) -> Tensor:
            # made on the device: a CUDA graph cannot copy from the host
            tensors = [
                value.to(torch.float32)
                if isinstance(value, Tensor)
                else torch.full((), value, dtype=torch.float32, device=self.device)
                for value in values
            ]
            return torch.stack(tensors)

        return {
            "annealing.diffusion": stack_values([w.diffusion for w in weights]),
            "annealing.kl": stack_values([w.kl for w in weights]),
        }


class _GraphedSteps:
    """Training step of all runs on full batches as a CUDA graph, with its input buffers."""

    def __init__(self, stack: RunStack) -> None:
        self._rows = stack.empty_rows(stack.batch_size)
        self._graph = CudaGraphedCall(stack.streams.generators)

    def run(self, stack: RunStack, batches: Sequence[Batch]) -> Tensor:
        """Run the step; return the losses, (K,), which the next step overwrites."""
        write(batches, self._rows)
        return self._graph(partial(stack.learn_from, self._rows))


def write(batches: Sequence[Batch], rows: Sequence[Tensor]) -> None:
    """Write each run's batch into its slice of the rows, (K, batch, num_items) of each kind."""
    for kind, stacked in enumerate(rows):
        for batch, out in zip(batches, stacked, strict=True):
            batch.write(kind, out)


def recommender(run: TrainingRun) -> DiffusionRecommender:
    """Return the model of a diffusion recommender's run."""
    assert isinstance(run.model, DiffusionRecommender)
    return run.model
