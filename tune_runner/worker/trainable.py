"""One Ray trainable for every recommender: trains to the next validation, reports, goes on.

It has a trial, or a group of them that it trains as one computation as far as their models allow.
One that ends, in whatever way, leaves the others; so does one that the driver has given up, whose
checkpoints are gone before the next step is asked for.

The worker process is used again for the next group, since starting one costs more than a short
trial; nothing of a trial outlives `reset_config`. Building happens in the first step, not at the
start: an error there is an ordinary failure of the trial, which the study retries.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ray import tune

from diffrec.models.clustering import set_shared_cache
from tune_runner.events import GroupReport, TrialReport
from tune_runner.resources.energy import open_meter
from tune_runner.resources.limits import apply_resource_limits, release_gpu_memory
from tune_runner.trials.groups import ASSIGNMENT, REPORT, Assignment
from tune_runner.worker.backend import TrainingBackend
from tune_runner.worker.clustering_cache import ClusteringCache
from tune_runner.worker.trial import WorkerTrial

if TYPE_CHECKING:
    from diffrec.data import Dataset
    from diffrec.training.fused.runs import FusedEpoch, FusedRuns

logger = logging.getLogger(__name__)

Reports = dict[int, TrialReport]
"""By number of the trial."""


class RecommenderTrainable(tune.Trainable):
    """Trials of any variant, in a worker."""

    def setup(
        self,
        config: dict[str, Any],
        data: "Dataset | None" = None,
        backend: TrainingBackend | None = None,
    ) -> None:
        """Take the data, once for all trials of this process, and the first assignment."""
        assert data is not None
        self._data, self._backend = data, backend or TrainingBackend()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Forget the last group and take the next."""
        self._assignment: Assignment = new_config[ASSIGNMENT]
        resources = self._assignment.resources
        self._device = apply_resource_limits(resources)
        self._meter = open_meter(resources.cpus, resources.gpus)
        set_shared_cache(ClusteringCache(self._assignment.checkpoints))
        self._reset()
        objective, held = self._assignment.objective, (resources.cpus, resources.gpus)
        self._members = [
            WorkerTrial(trial, objective, self._backend, self._data, self._joules, held)
            for trial in self._assignment.trials
        ]
        return True

    def step(self) -> dict[str, Any]:
        """Go on until a trial was validated or has ended, or repeat what checkpoints remember.

        An accident is reported, not raised: a process that has torch and the data takes the retry,
        or the next trial, at once. Only an error of the GPU leaves the process unfit.
        """
        reports = self._start() if self._stacks is None else self._drop_pruned()
        reports = reports or self._replay() or self._advance()
        if not self._members:
            self._reset()
        epoch = max(report.epoch for report in reports.values())
        return {REPORT: GroupReport(reports), "epoch": epoch, "done": not self._members}

    def __repr__(self) -> str:
        # Ray asks once, when the actor starts (even if that failed): a reused worker keeps the
        # name of its first trial.
        assignment = getattr(self, "_assignment", None)
        return "trial" if assignment is None else assignment.name

    def _reset(self) -> None:
        self._members: list[WorkerTrial] = []
        self._stacks: list[FusedRuns] | None = None
        release_gpu_memory(self._device)

    def _start(self) -> Reports:
        """Build every run; return what failed."""
        self._stacks = []
        return self._for_each(lambda member: partial(member.start, self._device))

    def _drop_pruned(self) -> Reports:
        """Let go whom the driver has given up; it hears nothing new by that."""
        return self._for_each(lambda member: member.check)

    def _replay(self) -> Reports:
        return self._for_each(lambda member: member.replay)

    def _advance(self) -> Reports:
        """Train epoch after epoch until there is something to report."""
        stacks = self._stacks = self._stacks or self._group_runs()
        found: Reports = {}
        while not found:
            started = time.perf_counter()
            ended = [epoch for stack in stacks for epoch in self._next_epochs(stack)]
            seconds = time.perf_counter() - started
            joules, part = self._joules(), 1 / max(len(ended), 1)
            each = None if joules is None else joules * part
            for epoch in ended:
                member = next(member for member in self._members if member.run is epoch.run)
                found |= self._guard(
                    member, partial(member.record_epoch, epoch, seconds, each, part)
                )
            stacks[:] = [stack for stack in stacks if stack.runs]
        return found

    def _joules(self) -> float | None:
        """Return what the worker took since this was asked before; None where nobody knows."""
        if self._meter is None:
            return None
        try:
            return self._meter.joules()
        except OSError:  # the counter has gone: what was measured until now is not the whole
            self._meter = None
            return None

    def _group_runs(self) -> "list[FusedRuns]":
        """Put together the runs that can be: clusters of other sizes have a stack of their own."""
        stacks: list[FusedRuns] = []
        for member in self._members:
            stack = next((stack for stack in stacks if stack.takes(member.run)), None)
            if stack is None:
                stack = self._backend.fuse()
                stacks.append(stack)
            stack.join(member.run)
        return stacks

    def _next_epochs(self, stack: "FusedRuns") -> "list[FusedEpoch]":
        """Train an epoch; an error that is nobody's own is everybody's."""
        from diffrec.training.fused.runs import FusedEpoch

        try:
            return stack.next_epoch()
        except Exception as error:  # noqa: BLE001 - reported like any other, for each
            runs, stack.runs = stack.runs, []
            return [FusedEpoch(run, None, error, 0.0) for run in runs]

    def _for_each(self, act: Callable[[WorkerTrial], Callable[[], TrialReport | None]]) -> Reports:
        reports: Reports = {}
        for member in list(self._members):
            reports |= self._guard(member, act(member))
        return reports

    def _guard(self, member: WorkerTrial, act: Callable[[], TrialReport | None]) -> Reports:
        """Do something for a trial; return its report, if any. Whoever has ended leaves."""
        try:
            report = act()
        except Exception as error:
            if "CUDA error" in str(error):
                raise
            report = self._failure(member, error)
        if report is None:
            return {}
        if report.outcome is not None:
            self._members.remove(member)
            for stack in self._stacks or ():
                if any(run is member.run for run in stack.runs):
                    stack.leave(member.run)
        return {member.number: report}

    def _failure(self, member: WorkerTrial, error: Exception) -> TrialReport:
        from diffrec.training.run import NonFiniteLossError
        from tune_runner.checkpoints.store import ClaimLostError

        if not isinstance(error, NonFiniteLossError | ClaimLostError):
            logger.warning("Trial %s had an accident", member.name, exc_info=error)
        report = member.failure_report(error)
        _clear_tracebacks(error)
        return report


def _clear_tracebacks(error: BaseException | None) -> None:
    """Let go of the frames that an error was raised in: they hold the trial, and are held by it."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
