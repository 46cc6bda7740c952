"""Interface of every recommender, ours and those from outside: two methods, and abilities.

A recommender needs `training_loss` and `scores`, or `fit` and `scores` where it is solved in closed
form. Every other method is an ability: overriding it gives the recommender what it says, and the
default is to do without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from diffrec.config import TrainingConfig
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.models.query_choice import QueryChoice
from diffrec.runtime.seeding import generator


class Optimizer(Protocol):
    """The part of an optimiser that a recommender's own loop calls."""

    param_groups: list[dict[str, Any]]

    def zero_grad(self) -> None:
        """Drop all gradients."""
        ...

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        ...


@dataclass(frozen=True, slots=True)
class Holdout:
    """Interactions that are kept from the network, for what is fitted after each epoch."""

    users: np.ndarray
    """Mask of the users that something is kept of, (num_users,)."""

    visible_lengths: np.ndarray | None
    """How many interactions of each user the network sees, (num_users,); None: all users that are
    not marked, whole."""


@dataclass(frozen=True, slots=True)
class EpochContext:
    """One epoch of a training run, as a recommender sees it."""

    number: int
    """Zero-based number of the epoch."""

    train: Interactions
    """Train interactions, one row per user, oldest item first."""

    optimizer: Optimizer
    """Optimiser of `parameter_groups`."""

    seed: int
    """Root seed of the run."""

    holdout: Holdout
    precision: torch.dtype | None
    """Dtype of the products in training; None: float32."""

    def rng(self, purpose: str) -> np.random.Generator:
        """Return a generator for one purpose, the same whenever the epoch is trained."""
        return generator(self.seed, purpose, self.number)


class Recommender(nn.Module):
    """Base of all recommenders.

    All that a trained one needs is in `state_dict`: parameters and buffers whose shapes follow from
    the configuration and the number of items (or else `restore` is overridden). Random numbers
    drawn from torch inside `training_loss` and `train_epoch` are seeded by run and epoch, so a
    resumed run equals an uninterrupted one.
    """

    is_capturable: ClassVar[bool] = False
    """True if `training_loss` can run as a CUDA graph: fixed shapes, no transfer to the host."""

    def __init__(self, config: Any, num_items: int) -> None:
        """Build with fresh weights from torch's global generator.

        Args:
            config: configuration of the recommender.
            num_items: width of the interaction vectors.
        """
        super().__init__()
        self.config, self.num_items = config, num_items

    # Needed

    def training_loss(self, x_0: Tensor, target: Tensor, epoch: int | Tensor) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            x_0: histories, float32 (batch, num_items).
            target: vectors to reconstruct, same shape; the same tensor unless `training_weights`
                tell them apart.
            epoch: zero-based epoch.
        """
        raise NotImplementedError

    def fit(self, train: Interactions) -> None:
        """Solve for the weights in one pass; instead of `training_loss`."""
        raise NotImplementedError

    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, higher is better, shape (len(users), num_items).

        Args:
            history: interactions of all users.
            users: rows of `history` to score, shape (batch,).
        """
        raise NotImplementedError

    # Abilities

    @classmethod
    def build(cls, config: Any, split: TuningSplit) -> Self:
        """Return a recommender to be trained on `split`."""
        model = cls(config, split.train.num_items)
        model.prepare(split)
        return model

    @classmethod
    def restore(cls, config: Any, num_items: int, state: dict[str, Tensor]) -> Self:
        """Return a recommender with the weights of `state`, without any data."""
        model = cls(config, num_items)
        model.load_state_dict(state)
        return model

    def prepare(self, split: TuningSplit) -> None:
        """Fill buffers with what the train data say: a graph, counts, a clustering."""

    def training_weights(
        self, history: Interactions
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the weights of (input, target), each (nnz,) or None for ones."""
        return None, None

    def parameter_groups(self, training: TrainingConfig) -> list[dict[str, Any]]:
        """Return the optimiser's groups, each with `params`, `lr` and `weight_decay`."""
        return [parameter_group(self, training.learning_rate, training.weight_decay)]

    def train_epoch(self, epoch: EpochContext) -> float | None:
        """Train one epoch in a loop of its own and return the mean loss.

        None, as here: the run's loop passes batches of users to `training_loss`.
        """
        return None

    def after_epoch(self, epoch: EpochContext) -> None:
        """Fit what is not fitted by `training_loss`, after the batches of an epoch."""

    def held_out(self, train: Interactions) -> Holdout:
        """Return what the batches must not show, since `after_epoch` is fitted on it."""
        return Holdout(np.zeros(train.num_users, dtype=bool), None)

    @contextmanager
    def cached_scoring(self) -> Iterator[None]:
        """Compute once what the scores of all users share; no weight may change meanwhile."""
        yield

    @contextmanager
    def chain_precision(self, dtype: torch.dtype | None) -> Iterator[None]:
        """Score in `dtype` while epochs are validated; None: in that of the weights."""
        yield

    def query_choice(self) -> QueryChoice | None:
        """Return the queries among which validation chooses; None: there is one."""
        return None

    def learned_weights(self) -> Tensor | None:
        """Return the learned temporal weights, (rows, columns), for the trial's record, or None."""
        return None

    def describe_weights(self) -> dict[str, Any]:
        """Return what the rows and columns of `learned_weights` are (`WeightTrajectory`)."""
        return {}

    def check_collapse(self, lengths: np.ndarray | None = None) -> str | None:
        """Return a sentence if weights learned on histories of these lengths have collapsed."""
        return None

    @property
    def device(self) -> torch.device:
        """Device of the parameters and buffers."""
        for tensor in (*self.parameters(), *self.buffers()):
            return tensor.device
        return torch.device("cpu")

    @classmethod
    def overrides(cls, name: str) -> bool:
        """Return whether the class has a method of its own in place of the default."""
        return getattr(cls, name) is not getattr(Recommender, name)


def parameter_group(module: nn.Module, rate: float, decay: float) -> dict[str, Any]:
    """Return a group of the module's parameters for `parameter_groups`."""
    return {"params": list(module.parameters()), "lr": rate, "weight_decay": decay}
