"""Loss and timestep sampler under torch.func.vmap; ours, since vmap has no seed for each run.

Both are mapped over the stacked state of K runs (model ensembling). vmap cannot give each run its
own random numbers, so modules that draw are replaced by modules whose values are injected.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from diffrec.diffusion.timesteps import ImportanceTimestepSampler, Timesteps
from diffrec.models.annealing import LossWeights
from diffrec.models.recommender import DiffusionRecommender

State = dict[str, Tensor]
"""Tensors of shape (K, ...) by the names of the recommender's `state_dict`."""

SAMPLER = "timestep_sampler."


def weightless_copy(model: DiffusionRecommender) -> DiffusionRecommender:
    """Return a copy of the recommender on the meta device, for `functional_call`.

    A new one would draw weights, which on the meta device loads torch's compiler and sympy: five
    seconds of a worker's first fused epoch.
    """
    weightless: dict[int, Tensor] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        meta_tensor = tensor.detach().to("meta")
        weightless[id(tensor)] = (
            nn.Parameter(meta_tensor) if isinstance(tensor, nn.Parameter) else meta_tensor
        )
    return copy.deepcopy(model, weightless).train()


class VmappedLoss:
    """Training losses of K recommenders in one call."""

    def __init__(self, template: DiffusionRecommender) -> None:
        model = weightless_copy(template)
        model.noise = _InjectedNoise("value")  # type: ignore[assignment]
        model.denoiser.dropout = _InjectedMask("value")  # type: ignore[assignment]
        model.timestep_sampler = _InjectedTimesteps("t", "importance")  # type: ignore[assignment]
        if model.autoencoder is not None:
            model.autoencoder.noise = _InjectedNoise("value")  # type: ignore[assignment]
            model.autoencoder.dropout = _InjectedMask("value")  # type: ignore[assignment]
            model.annealing = _InjectedWeights("diffusion", "kl")  # type: ignore[assignment]
        self._loss = _Call(model, _loss)
        self._state_names = [name for name in model.state_dict() if not name.startswith("recency.")]

    def __call__(
        self, state: State, injected: State, x_0: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the losses, (K,), and the diffusion loss of every row, (K, batch).

        Args:
            state: weights and buffers; `batches_seen` is increased.
            injected: values of the modules that stand in for random draws, (K, ...) each.
            x_0: histories, shape (K, batch, num_items).
            target: what they are compared with, same shape; None: the histories themselves.
        """
        values = {
            f"module.{name}": injected[name] if name in injected else state[name]
            for name in self._state_names
        }

        def loss_of_run(values: State, x_0: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
            return functional_call(self._loss, values, (x_0, x_0 if target is None else target))

        return vmap(loss_of_run, in_dims=(0, 0, None if target is None else 0))(values, x_0, target)


class VmappedSampler:
    """Timestep samplers of K recommenders in one call."""

    def __init__(self, template: DiffusionRecommender) -> None:
        sampler = weightless_copy(template).timestep_sampler
        assert isinstance(sampler, ImportanceTimestepSampler)
        self._state_names = list(sampler.state_dict())
        self._probabilities = _Call(sampler, lambda module: module.probabilities())
        self._update = _Call(sampler, _update)

    def probabilities(self, state: State) -> Tensor:
        """Return p_t, shape (K, num_steps), float64; the learned sampler's W gets its gradient."""
        return vmap(lambda values: functional_call(self._probabilities, values))(
            self._module_state(state)
        )

    def update(self, state: State, t: Tensor, loss: Tensor) -> None:
        """Add the losses at steps t, both (K, batch), to the samplers' memory in `state`."""
        with torch.no_grad():
            vmap(lambda values, t, loss: functional_call(self._update, values, (t, loss)))(
                self._module_state(state), t, loss
            )

    def _module_state(self, state: State) -> State:
        return {f"module.{name}": state[SAMPLER + name] for name in self._state_names}


class _Call(nn.Module):
    """Module that calls `function(module, *inputs)`: the form that `functional_call` needs."""

    def __init__(self, module: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.module, self._function = module, function

    def forward(self, *inputs: Any) -> Any:
        return self._function(self.module, *inputs)


def _loss(model: DiffusionRecommender, x_0: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    loss = model.training_loss(x_0, target, 0)  # the epoch acts through `annealing` alone
    sampler = model.timestep_sampler
    assert isinstance(sampler, _InjectedTimesteps)
    return loss, sampler.take_losses()


def _update(sampler: ImportanceTimestepSampler, t: Tensor, loss: Tensor) -> Tensor:
    sampler.update(t, loss)
    return loss


class _Injected(nn.Module):
    """Stand-in for a module that draws: its buffers are set by `functional_call`."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        for name in names:
            self.register_buffer(name, torch.empty(0))


class _InjectedNoise(_Injected):
    value: Tensor

    def forward(self, like: Tensor) -> Tensor:
        return self.value


class _InjectedMask(_Injected):
    value: Tensor

    def forward(self, like: Tensor) -> Tensor:
        return like * self.value


class _InjectedWeights(_Injected):
    diffusion: Tensor
    kl: Tensor

    def forward(self, epoch: int | Tensor, batches_seen: Tensor) -> LossWeights:
        return LossWeights(self.diffusion, self.kl)


class _InjectedTimesteps(_Injected):
    t: Tensor
    importance: Tensor
    _losses: Tensor | None = None

    def sample(self, batch_size: int) -> Timesteps:
        return Timesteps(self.t, self.importance)

    def update(self, t: Tensor, loss: Tensor) -> None:
        self._losses = loss

    def take_losses(self) -> Tensor:
        """Return the losses of `update` and drop them: they exist in one mapped call only."""
        assert self._losses is not None
        losses, self._losses = self._losses, None
        return losses
