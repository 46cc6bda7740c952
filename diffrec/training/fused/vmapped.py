"""A recommender's own training loss and timestep memory, mapped over stacked state.

Nothing is written twice: the modules in which the loss draws at random are replaced by modules that
return what they are injected, and the loss of the class is mapped with torch.func.vmap.
"""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from diffrec.diffusion.timesteps import ImportanceTimestepSampler, Timesteps
from diffrec.models.annealing import LossWeights
from diffrec.models.recommender import DiffusionRecommender

State = dict[str, Tensor]
"""By the names of the recommender's `state_dict`, each of shape (K, ...)."""

SAMPLER = "timestep_sampler."


def weightless_copy(like: DiffusionRecommender) -> DiffusionRecommender:
    """Return a recommender of that kind without weights: all it computes with is handed in.

    A copy, since a new one would draw weights: on the meta device that loads torch's compiler and
    sympy, five seconds of a worker's first fused epoch.
    """
    weightless: dict[int, Tensor] = {}
    for tensor in (*like.parameters(), *like.buffers()):
        made = tensor.detach().to("meta")
        weightless[id(tensor)] = nn.Parameter(made) if isinstance(tensor, nn.Parameter) else made
    return copy.deepcopy(like, weightless).train()


class VmappedLoss:
    """The training loss of K recommenders at a time."""

    def __init__(self, like: DiffusionRecommender) -> None:
        model = weightless_copy(like)
        model.noise, model.denoiser.dropout = _Injected(), _InjectedMask()  # type: ignore[assignment]
        model.timestep_sampler = _InjectedTimesteps()  # type: ignore[assignment]
        if model.autoencoder is not None:
            model.autoencoder.noise = _Injected()  # type: ignore[assignment]
            model.autoencoder.dropout = _InjectedMask()  # type: ignore[assignment]
            model.annealing = _InjectedWeights()  # type: ignore[assignment]
        self._loss = _Loss(model)
        self._own = [name for name in model.state_dict() if not name.startswith("recency.")]

    def __call__(
        self, state: State, injected: State, x_0: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the losses, (K,), and the diffusion loss of every row, (K, batch).

        Args:
            state: weights and buffers; `batches_seen` counts on.
            injected: a value for every module that is injected one.
            x_0: histories, shape (K, batch, num_items).
            target: what they are compared with, where that is another tensor.
        """
        values = {
            f"model.{name}": injected[name] if name in injected else state[name]
            for name in self._own
        }

        def one(values: State, x_0: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor]:
            return functional_call(self._loss, values, (x_0, x_0 if target is None else target))

        return vmap(one, in_dims=(0, 0, None if target is None else 0))(values, x_0, target)


class VmappedSampler:
    """The timestep memories of K importance samplers at a time."""

    def __init__(self, like: DiffusionRecommender) -> None:
        sampler = weightless_copy(like).timestep_sampler
        assert isinstance(sampler, ImportanceTimestepSampler)
        self._own = list(sampler.state_dict())
        self._probabilities, self._update = _Probabilities(sampler), _Update(sampler)

    def probabilities(self, state: State) -> Tensor:
        """Return p_t, shape (K, num_steps), float64; the learned sampler's W gets its gradient."""
        return vmap(lambda own: functional_call(self._probabilities, own))(self._named(state))

    def update(self, state: State, t: Tensor, loss: Tensor) -> None:
        """Remember, in `state`, the losses seen at steps t, each of shape (K, batch)."""
        with torch.no_grad():
            vmap(lambda own, t, loss: functional_call(self._update, own, (t, loss)))(
                self._named(state), t, loss
            )

    def _named(self, state: State) -> State:
        return {f"sampler.{name}": state[SAMPLER + name] for name in self._own}


class _Loss(nn.Module):
    def __init__(self, model: DiffusionRecommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_0: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        loss = self.model.training_loss(x_0, target, 0)  # the epoch acts through `annealing` alone
        sampler = self.model.timestep_sampler
        assert isinstance(sampler, _InjectedTimesteps)
        return loss, sampler.take_losses()


class _Probabilities(nn.Module):
    def __init__(self, sampler: ImportanceTimestepSampler) -> None:
        super().__init__()
        self.sampler = sampler

    def forward(self) -> Tensor:
        return self.sampler.probabilities()


class _Update(nn.Module):
    def __init__(self, sampler: ImportanceTimestepSampler) -> None:
        super().__init__()
        self.sampler = sampler

    def forward(self, t: Tensor, loss: Tensor) -> Tensor:
        self.sampler.update(t, loss)
        return loss


class _Injected(nn.Module):
    """Returns what it is injected in place of `value`."""

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.empty(0))

    def forward(self, like: Tensor) -> Tensor:
        return self.value


class _InjectedMask(_Injected):
    def forward(self, like: Tensor) -> Tensor:
        return like * self.value


class _InjectedWeights(nn.Module):
    diffusion: Tensor
    kl: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("diffusion", torch.empty(0))
        self.register_buffer("kl", torch.empty(0))

    def forward(self, epoch: int | Tensor, batches_seen: Tensor) -> LossWeights:
        return LossWeights(self.diffusion, self.kl)


class _InjectedTimesteps(nn.Module):
    t: Tensor
    importance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("t", torch.empty(0))
        self.register_buffer("importance", torch.empty(0))
        self._losses: Tensor | None = None

    def sample(self, batch_size: int) -> Timesteps:
        return Timesteps(self.t, self.importance)

    def update(self, t: Tensor, loss: Tensor) -> None:
        self._losses = loss

    def take_losses(self) -> Tensor:
        """Return the losses of `update` and forget them: they live in one mapped call only."""
        assert self._losses is not None
        losses, self._losses = self._losses, None
        return losses
