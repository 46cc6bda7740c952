"""Training run as an iterator of epochs: it can be stopped, saved and resumed after any of them.

The run gets a `TuningSplit`, which has no test interactions; `runs.score_test` uses those once,
after the run, with the best-validation state.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffrec.config.base import ModelConfig
from diffrec.config.families import training_of
from diffrec.data.interactions import TuningSplit
from diffrec.errors import UserError
from diffrec.evaluation.beyond_accuracy import catalogue_of
from diffrec.evaluation.ranking import evaluate
from diffrec.models.base import EpochContext
from diffrec.models.chunked_linear import ChunkedLinear
from diffrec.models.holdout import truncate_histories
from diffrec.runtime.memory import release_pages, retain_freed_memory
from diffrec.runtime.precision import product_dtype, warn_if_emulated
from diffrec.runtime.seeding import derive_seed, generator
from diffrec.training.batching import Batch, BatchLoader, inputs_and_targets
from diffrec.training.best_state import BestState, own_storage
from diffrec.training.cuda_graphs import CudaGraphedCall
from diffrec.training.factory import build_model, build_optimizer
from diffrec.training.guard import best_query
from diffrec.training.patience import PatienceRule
from diffrec.training.reports import EpochReport
from diffrec.training.weight_trajectory import WeightTrajectory

OBJECTIVE = "valid/recall@20"

WIDE_BYTES = 2**26
"""Smallest layer, in bytes, that is updated in chunks during the backward pass."""


class NonFiniteLossError(RuntimeError):
    """Error: the loss of an epoch (one-based) is NaN or infinite."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"The loss is not finite in epoch {epoch}; lower the learning rate.")
        self.epoch = epoch


class TrainingRun:
    """Run that trains one recommender, epoch by epoch.

    Every random draw comes from a seed named after the config's root seed, its purpose and the
    epoch, so a resumed run equals an uninterrupted one to the bit; except learned weights W on a
    GPU, which adds their sums in no fixed order.
    """

    def __init__(self, config: ModelConfig, split: TuningSplit, *, device: str = "cpu") -> None:
        training = training_of(config)
        assert training is not None
        retain_freed_memory()
        self.training = training
        self.config, self.split = config, split
        self.epoch = 0
        self.finished = False
        self.best_metrics: dict[str, float] = {}
        self._history: list[tuple[int, float]] = []
        self._best = BestState()
        self._rule = PatienceRule(training.patience)
        model = build_model(config, split)
        self.model = model.to(device)
        self.optimizer = build_optimizer(config, self.model)
        self._dtype = product_dtype(config, self.model.device)
        warn_if_emulated(self._dtype, self.model.device)
        self._holdout = self.model.held_out(split.train)
        lengths = self._holdout.visible_lengths
        visible = split.train if lengths is None else truncate_histories(split.train, lengths)
        self.loader = BatchLoader(visible, self.model.training_weights(visible), self.device)
        self._trajectory = WeightTrajectory(self.model, split.train.lengths)
        is_capturable = self.model.is_capturable and not self._wide_layers()
        self.uses_cuda_graph = self.device.type == "cuda" and is_capturable
        """True if full batches run as a CUDA graph. Kernels of wide layers are long enough without
        one, and a graph keeps the memory it works in."""
        self._step: GraphedStep | None = None

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.device

    @property
    def users(self) -> np.ndarray:
        """Users that the network is trained on: those with a history that W does not hold out."""
        has_history = self.split.train.lengths > 0
        if self._holdout.visible_lengths is None:
            has_history &= ~self._holdout.users
        return np.flatnonzero(has_history)

    @property
    def best_epoch(self) -> int:
        """The epoch of the best validation, one-based; 0 before any."""
        return self._rule.best(self._history)[0]

    def epochs(self) -> Iterator[EpochReport]:
        """Yield epochs until the run is finished."""
        while not self.finished:
            yield self.next_epoch()

    def next_epoch(self) -> EpochReport:
        """Train one epoch and validate if it is due.

        Raises:
            NonFiniteLossError: the mean loss is NaN or infinite.
        """
        assert not self.finished
        started = time.perf_counter()
        loss = self._train_epoch()
        seconds = time.perf_counter() - started
        return self.close_epoch(loss, seconds)

    def close_epoch(self, loss: float, seconds: float) -> EpochReport:
        """Record an epoch that was trained and validate if it is due.

        Args:
            loss: mean loss over its batches.
            seconds: time of its training.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite.
        """
        self.epoch += 1
        if not math.isfinite(loss):
            raise NonFiniteLossError(self.epoch)
        training = self.training
        is_last = self.epoch >= training.max_epochs
        metrics, is_best = None, False
        if self.epoch % training.eval_every == 0 or is_last:
            metrics = self._validate()
            self._trajectory.record(self.epoch)
            self._history.append((self.epoch, metrics[OBJECTIVE]))
            is_best = self.best_epoch == self.epoch
            if is_best:
                self.best_metrics = metrics
                self._best.store(self.model.state_dict())
        self.finished = is_last or self._rule.should_stop(self._history)
        if self.finished:
            self.drop_graph()
        return EpochReport(self.epoch, loss, seconds, metrics, is_best, self.finished)

    def restore_best(self) -> None:
        """Load the best-validation weights into `model`."""
        self._best.restore(self.model)

    def weight_trajectory(self) -> dict[str, Any] | None:
        """Return W at the start and at every validation, for the trial's record; None without W."""
        return self._trajectory.to_json()

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to resume; safe for `torch.load(weights_only=True)`."""
        model = {name: own_storage(value) for name, value in self.model.state_dict().items()}
        # if the newest weights are the best, they are written once
        best = model if 0 < self.epoch == self.best_epoch else self._best.tensors()
        return {
            "config": self.config.to_dict(),
            "epoch": self.epoch,
            "finished": self.finished,
            "history": self._history,
            "best_metrics": self.best_metrics,
            "weight_trajectory": self._trajectory.snapshots,
            "best_state": best,
            "model": model,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a copy of `state`.

        Raises:
            ValueError: it comes from a run with another configuration.
        """
        if type(self.config).from_dict(state["config"]) != self.config:
            raise ValueError("The checkpoint was written with another configuration.")
        self.model.load_state_dict(state["model"])
        for tensor in state["model"].values():
            release_pages(tensor)
        self.optimizer.load_state_dict(state["optimizer"])
        self.drop_graph()
        self.epoch, self.finished = state["epoch"], state["finished"]
        self._history = [(int(epoch), float(value)) for epoch, value in state["history"]]
        self.best_metrics = dict(state["best_metrics"])
        self._trajectory.snapshots = [(int(e), w) for e, w in state["weight_trajectory"]]
        self._best.store(state["best_state"])

    def drop_graph(self) -> None:
        """Drop the CUDA graph: it is not needed any more, or weights or moments have moved."""
        self._step = None

    def _train_epoch(self) -> float:
        """Train one epoch, over the users with a history or in the model's own way.

        Return the mean loss.
        """
        model, seed = self.model, self.config.seed
        device = model.device
        if not model.training:  # visiting every module takes as long as a tenth of a small epoch
            model.train()
        total, batches = torch.zeros((), dtype=torch.float64, device=device), 0
        with isolated_rng(device, derive_seed(seed, "epoch", self.epoch)):
            loss = model.train_epoch(self._context())
            if loss is not None:
                self.end_epoch()
                return loss
            with self._wide_layers_updated_in_chunks():
                for batch in self.batches():
                    total += self._train_batch(batch)
                    batches += 1
            self.end_epoch()
        return float(total) / max(batches, 1)

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the coming epoch, every user once."""
        users, rng = self.users, generator(self.config.seed, "shuffle", self.epoch)
        return self.loader.batches(users[rng.permutation(len(users))], self.training.batch_size)

    def autocast(self) -> torch.autocast:
        """Return the context in which a training loss is computed."""
        dtype = self._dtype
        device_type = self.model.device.type
        return torch.autocast(device_type, dtype=dtype, enabled=dtype is not None)

    def end_epoch(self) -> None:
        """Let the model fit what it fits after the batches of an epoch."""
        self.model.after_epoch(self._context())

    def _context(self) -> EpochContext:
        return EpochContext(
            self.epoch,
            self.split.train,
            self.optimizer,
            self.config.seed,
            self._holdout,
            self._dtype,
        )

    def _train_batch(self, batch: Batch) -> torch.Tensor:
        """Update every weight once; return the loss, a scalar on the model's device.

        The next call may overwrite it.
        """
        if self.uses_cuda_graph and len(batch) == self.training.batch_size:
            self._step = self._step or GraphedStep(self)
            return self._step.run(self, batch)
        with self.autocast():  # rows without a name are freed before the backward pass
            loss = self.model.training_loss(
                *inputs_and_targets(self.loader.rows(batch)), self.epoch
            )
        return self.learn(loss)

    def learn(self, loss: torch.Tensor) -> torch.Tensor:
        """Update every weight once by the gradient of `loss`; return it detached.

        Raises:
            UserError: it is no scalar that depends on a weight.
        """
        check_loss(loss, type(self.model).__name__)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _wide_layers(self) -> list[ChunkedLinear]:
        layers = [m for m in self.model.modules() if isinstance(m, ChunkedLinear)]
        return [layer for layer in layers if layer.weight.nbytes >= WIDE_BYTES]

    @contextmanager
    def _wide_layers_updated_in_chunks(self) -> Iterator[None]:
        """Let the optimiser update wide layers during the backward pass."""
        wide = self._wide_layers()
        for layer in wide:
            layer.grad_consumer = partial(self.optimizer.step_in_chunks, layer.weight)
        try:
            yield
        finally:
            for layer in wide:
                layer.grad_consumer = None

    def _validate(self) -> dict[str, float]:
        model, train, valid = self.model, self.split.train, self.split.valid
        choice = model.query_choice()
        with model.chain_precision(self._dtype):
            catalogue = catalogue_of(train, self.split.item_embeddings)
            validate = partial(
                evaluate, model, history=train, target=valid, seen=[train], catalogue=catalogue
            )
            metrics = validate() if choice is None else best_query(choice, validate)
        return {f"valid/{name}": value for name, value in metrics.items()}


def check_loss(loss: object, name: str) -> None:
    """Refuse what a recommender from outside returns as its loss, if no gradient comes of it."""
    if not isinstance(loss, Tensor) or loss.ndim or not loss.requires_grad:
        got = type(loss).__name__
        if isinstance(loss, Tensor):
            grad = "with" if loss.requires_grad else "without"
            got = f"a tensor of shape {list(loss.shape)} {grad} a gradient"
        raise UserError(
            f"`training_loss` of {name} must return a scalar tensor with a gradient, but got "
            f"{got}; correct it."
        )


@contextmanager
def isolated_rng(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's generators inside the context; restore them afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if device.type == "cpu":
            # `torch.manual_seed` notes a stack trace for every other kind of device, each time
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        yield


class GraphedStep:
    """Training step of a run on full batches as a CUDA graph, with its input buffers."""

    def __init__(self, run: "TrainingRun") -> None:
        shape = run.training.batch_size, run.split.train.num_items
        self._rows = [torch.empty(shape, device=run.device) for _ in run.loader.row_kinds]
        self._epoch = torch.zeros((), dtype=torch.float64, device=run.device)
        self._graph = CudaGraphedCall()

    def run(self, run: "TrainingRun", batch: Batch) -> Tensor:
        """Run the step on a batch; return the loss, which the next step overwrites."""
        self._epoch.fill_(run.epoch)
        for kind, rows in enumerate(self._rows):
            batch.write(kind, rows)
        return self._graph(partial(self._work, run))

    def _work(self, run: "TrainingRun") -> Tensor:
        with run.autocast():
            loss = run.model.training_loss(*inputs_and_targets(self._rows), self._epoch)
        return run.learn(loss)
