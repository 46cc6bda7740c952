"""Trains runs as one batched computation; ours, since no library gives each its own seed.

Each run has the result of training it alone. It gives up to 3.7 times the trials per hour on a GPU,
1.4 on a CPU (benchmarks/fusion.py); no library trains runs with their own seeds, patience and
optimisers together. The weights of K runs are stacked along a leading dimension and the training
loss is mapped over them, so a layer of K small models is one batched product. Each run draws from
its own named seeds, in the order in which it would draw alone, and leaves the stack when it ends.

Source of the idea: Wang et al., "Horizontally Fused Training Array", MLSys 2021.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from diffrec import user_code
from diffrec.training.fused.stack import RunStack
from diffrec.training.reports import EpochReport
from diffrec.training.run import TrainingRun
from diffrec.training.runs import Run


class FusedEpoch(NamedTuple):
    """Result of a run's epoch: its report, or the error that ended it."""

    run: Run
    report: EpochReport | None
    error: Exception | None
    seconds: float
    """Seconds: the run's part of the joint training time, plus its own validation."""


class FusedRuns:
    """Group of runs that train together, one batch of each at a time.

    Members may be at different epochs. A run that finishes or fails is removed; others may leave
    and join between epochs. A single member is trained without the stack.
    """

    def __init__(self, runs: Sequence[Run] = ()) -> None:
        self.runs: list[Run] = []
        self._stack: RunStack | None = None
        for run in runs:
            self.join(run)

    def takes(self, run: Run) -> bool:
        """Return True if `run` can be trained together with the members."""
        if not self.runs:
            return True
        first, key = self.runs[0], run.config.fusion_key()
        return (
            key is not None
            and key == first.config.fusion_key()
            and run.split.train is first.split.train
            and _shapes(run) == _shapes(first)
        )

    def join(self, run: Run) -> None:
        """Add `run`, for which `takes` must hold; it trains from the next epoch on."""
        assert self.takes(run)
        self._dissolve()
        self.runs.append(run)

    def leave(self, run: Run) -> None:
        """Remove `run` and copy its weights out of the stack."""
        self._dissolve()
        self.runs = [member for member in self.runs if member is not run]

    def next_epoch(self) -> list[FusedEpoch]:
        """Train one epoch of every member and validate those that are due.

        A report's seconds are the joint training time divided by the number of members. A loss that
        is not finite, or an error in one member's validation, ends that member alone.
        """
        assert self.runs
        if len(self.runs) == 1:
            results = [_finish_epoch(self.runs[0], self.runs[0].next_epoch, 0.0)]
        else:
            results = self._train_together()
        for epoch in results:
            if epoch.report is None or epoch.report.finished:
                self.leave(epoch.run)
        return results

    def _train_together(self) -> list[FusedEpoch]:
        runs = [run for run in self.runs if isinstance(run, TrainingRun)]
        assert len(runs) == len(self.runs)  # ensured by `takes`
        started = time.perf_counter()
        if self._stack is None:
            config = runs[0].config
            self._stack = user_code.load_attribute(config.stack, type(config))(runs)
        assert self._stack is not None
        losses = _train_epoch(self._stack, runs)
        seconds = (time.perf_counter() - started) / len(runs)
        return [
            _finish_epoch(run, partial(run.close_epoch, loss, seconds), seconds)
            for run, loss in zip(runs, losses, strict=True)
        ]

    def _dissolve(self) -> None:
        if self._stack is not None:
            self._stack.release()
            self._stack = None


def _train_epoch(stack: RunStack, runs: Sequence[TrainingRun]) -> list[float]:
    """Train one epoch, each run over the users in its own order; return the mean losses."""
    for run in runs:
        run.model.train()
    stack.begin_epoch()
    total = torch.zeros(len(runs), dtype=torch.float64, device=stack.device)
    count = 0
    for batches in zip(*(run.batches() for run in runs), strict=True):
        total += stack.learn(batches)
        count += 1
    for k, run in enumerate(runs):
        with stack.streams.use(k):
            run.end_epoch()
        run.optimizer.zero_grad()  # else the last update of W would be repeated at every batch
    return (total / max(count, 1)).tolist()


def _finish_epoch(run: Run, finish: Callable[[], EpochReport], seconds: float) -> FusedEpoch:
    """Finish a run's epoch, of which `seconds` have passed; its error ends this run alone."""
    started = time.perf_counter()
    report, failure = None, None
    try:
        report = finish()
    except Exception as error:  # noqa: BLE001 - the other members continue
        failure = error
    return FusedEpoch(run, report, failure, seconds + time.perf_counter() - started)


def _shapes(run: Run) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in run.model.state_dict().items()}
