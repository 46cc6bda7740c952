"""Many training runs as one batched computation, each equal to itself run alone.

The weights of K runs are stacked along a leading dimension and the recommender's own training loss
is mapped over them, so a layer of K small models is one batched product. Every random draw is made
for each run from the run's own named seeds, in the order in which the run alone would make it. Each
run keeps its optimiser, timestep memory, validation and patience; a run that ends leaves the stack.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from diffrec.training.fused.compatibility import fusion_key
from diffrec.training.fused.stack import RunStack
from diffrec.training.reports import EpochReport
from diffrec.training.run import TrainingRun
from diffrec.training.runs import Run


class FusedEpoch(NamedTuple):
    """What became of a run in an epoch: its report, or the error that ended it."""

    run: Run
    report: EpochReport | None
    error: Exception | None
    seconds: float
    """The run's share of the time that training took, and its own validation."""


class FusedRuns:
    """Trains its members in step, a batch of each at a time.

    Members may be at different epochs. Those that finish or fail leave by themselves; others leave
    and join between epochs. A member on its own is trained as it would train itself.
    """

    def __init__(self, runs: Sequence[Run] = ()) -> None:
        self.runs: list[Run] = []
        self._stack: RunStack | None = None
        for run in runs:
            self.join(run)

    def takes(self, run: Run) -> bool:
        """Return whether `run` can be trained together with the members."""
        if not self.runs:
            return True
        first, key = self.runs[0], fusion_key(run.config)
        return (
            key is not None
            and key == fusion_key(first.config)
            and run.split.train is first.split.train
            and _shapes(run) == _shapes(first)
        )

    def join(self, run: Run) -> None:
        """Take `run` in, which `takes` has allowed; it trains from the next epoch on."""
        assert self.takes(run)
        self._dissolve()
        self.runs.append(run)

    def leave(self, run: Run) -> None:
        """Let `run` go, its weights its own again; the stack shrinks."""
        self._dissolve()
        self.runs = [member for member in self.runs if member is not run]

    def next_epoch(self) -> list[FusedEpoch]:
        """Train one epoch of every member; validate each where it is due.

        A report's seconds are the member's share of the time that training took. A loss that is not
        finite, or an error in the validation of one, ends that member alone.
        """
        assert self.runs
        if len(self.runs) == 1:
            ended = [_attempt(self.runs[0], self.runs[0].next_epoch, 0.0)]
        else:
            ended = self._train_together()
        for epoch in ended:
            if epoch.report is None or epoch.report.finished:
                self.leave(epoch.run)
        return ended

    def _train_together(self) -> list[FusedEpoch]:
        runs = [run for run in self.runs if isinstance(run, TrainingRun)]
        assert len(runs) == len(self.runs)  # `takes` has seen to it
        started = time.perf_counter()
        if self._stack is None:
            self._stack = RunStack(runs)
        losses = _train_epoch(self._stack, runs)
        seconds = (time.perf_counter() - started) / len(runs)
        return [
            _attempt(run, partial(run.close_epoch, loss, seconds), seconds)
            for run, loss in zip(runs, losses, strict=True)
        ]

    def _dissolve(self) -> None:
        if self._stack is not None:
            self._stack.release()
            self._stack = None


def _train_epoch(stack: RunStack, runs: Sequence[TrainingRun]) -> list[float]:
    """Pass once over the users, each run in its own order; return the mean losses."""
    for run in runs:
        run.model.train()
    stack.begin_epoch()
    total = torch.zeros(len(runs), dtype=torch.float64, device=stack.device)
    count = 0
    for batches in zip(*(run.batches() for run in runs), strict=True):
        total += stack.learn(batches)
        count += 1
    for k, run in enumerate(runs):
        with stack.streams.of(k):
            run.update_recency()
        run.optimizer.zero_grad()  # or the last lesson would be learned again at every batch
    return (total / max(count, 1)).tolist()


def _attempt(run: Run, finish: Callable[[], EpochReport], seconds: float) -> FusedEpoch:
    """Finish a run's epoch, of which `seconds` are spent already; an error is its own."""
    started = time.perf_counter()
    report, failure = None, None
    try:
        report = finish()
    except Exception as error:  # noqa: BLE001 - the others have no part in it
        failure = error
    return FusedEpoch(run, report, failure, seconds + time.perf_counter() - started)


def _shapes(run: Run) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in run.model.state_dict().items()}
