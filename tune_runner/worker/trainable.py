"""Ray trainable of every recommender: each step trains to the next validation and reports it.

It trains one trial, or a group as one batched computation as far as their models allow. A trial
leaves the group when it ends or was pruned; the worker notices the latter because the driver has
deleted its checkpoint.

The worker process is reused for the next group, since starting one takes longer than a short trial;
nothing of a trial outlives `reset_config`. Runs are built in the first step and not in `setup`, so
that an error there is an ordinary failure of the trial, which the study retries.
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
from tune_runner.worker.display import log_reports, show_title
from tune_runner.worker.drain import DrainNotice
from tune_runner.worker.trial import WorkerTrial

if TYPE_CHECKING:
    from diffrec.data import Dataset
    from diffrec.training.fused.runs import FusedEpoch, FusedRuns

logger = logging.getLogger(__name__)

Reports = dict[int, TrialReport]
"""Reports by number of the trial."""


class RecommenderTrainable(tune.Trainable):
    """Trials of any variant, in a worker."""

    def setup(
        self,
        config: dict[str, Any],
        data: "Dataset | None" = None,
        backend: TrainingBackend | None = None,
    ) -> None:
        """Keep the data for all trials of this process, and prepare the first assignment."""
        assert data is not None
        self._data, self._backend = data, backend or TrainingBackend()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Drop the last group and prepare the next."""
        self._assignment: Assignment = new_config[ASSIGNMENT]
        resources = self._assignment.resources
        self._device = apply_resource_limits(resources)
        self._meter = open_meter(resources.cpus, resources.gpus)
        is_draining = DrainNotice()
        set_shared_cache(ClusteringCache(self._assignment.checkpoints))
        self._reset()
        objective, amounts = self._assignment.objective, (resources.cpus, resources.gpus)
        self._members = [
            WorkerTrial(
                trial, objective, self._backend, self._data, self._joules, amounts, is_draining
            )
            for trial in self._assignment.trials
        ]
        return True

    def step(self) -> dict[str, Any]:
        """Train until a trial was validated or has ended, or repeat reports of its checkpoint.

        A failure is reported, not raised: this process has loaded torch and the data, and can run
        the retry or the next trial at once. Only after a CUDA error it cannot be used any more.
        """
        reports = self._start() if self._stacks is None else self._drop_pruned()
        reports = reports or self._replay() or self._advance()
        names = {trial.number: trial.name for trial in self._assignment.trials}
        log_reports(reports, names, self._assignment.objective)
        if not self._members:
            self._reset()
        epoch = max(report.epoch for report in reports.values())
        return {REPORT: GroupReport(reports), "epoch": epoch, "done": not self._members}

    def __repr__(self) -> str:
        # Ray asks once, when the actor starts, so the name of a trial would soon be wrong.
        return "worker"

    def _reset(self) -> None:
        self._members: list[WorkerTrial] = []
        self._stacks: list[FusedRuns] | None = None
        release_gpu_memory(self._device)

    def _start(self) -> Reports:
        """Build every run; return the reports of those that failed."""
        self._stacks = []
        return self._for_each(lambda member: partial(member.start, self._device))

    def _drop_pruned(self) -> Reports:
        """Drop the members that the driver has pruned."""
        return self._for_each(lambda member: member.check)

    def _replay(self) -> Reports:
        return self._for_each(lambda member: member.replay)

    def _advance(self) -> Reports:
        """Train epoch after epoch until there is something to report."""
        stacks = self._stacks = self._stacks or self._group_runs()
        reports: Reports = {}
        while not reports:
            started = time.perf_counter()
            show_title(self._assignment.name, 1 + max(m.run.epoch for m in self._members))
            epochs = [epoch for stack in stacks for epoch in self._next_epochs(stack)]
            seconds = time.perf_counter() - started
            joules, fraction = self._joules(), 1 / max(len(epochs), 1)
            each = None if joules is None else joules * fraction
            for epoch in epochs:
                member = next(member for member in self._members if member.run is epoch.run)
                record = partial(member.record_epoch, epoch, seconds, each, fraction)
                reports |= self._guard(member, record)
            stacks[:] = [stack for stack in stacks if stack.runs]
        return reports

    def _joules(self) -> float | None:
        """Return the worker's joules since the last call; None if they are not measured."""
        if self._meter is None:
            return None
        try:
            return self._meter.joules()
        except OSError:  # the counter has gone: the sum until now is not the total
            self._meter = None
            return None

    def _group_runs(self) -> "list[FusedRuns]":
        """Group the runs that fit into one computation; for example, equal sizes of clusters."""
        stacks: list[FusedRuns] = []
        for member in self._members:
            stack = next((stack for stack in stacks if stack.takes(member.run)), None)
            if stack is None:
                stack = self._backend.fuse()
                stacks.append(stack)
            stack.join(member.run)
        return stacks

    def _next_epochs(self, stack: "FusedRuns") -> "list[FusedEpoch]":
        """Train one epoch; an error of the joint computation is reported for every member."""
        from diffrec.training.fused.runs import FusedEpoch

        try:
            return stack.next_epoch()
        except Exception as error:  # noqa: BLE001 - reported like any other, for each
            runs, stack.runs = stack.runs, []
            return [FusedEpoch(run, None, error, 0.0) for run in runs]

    def _for_each(self, make: Callable[[WorkerTrial], Callable[[], TrialReport | None]]) -> Reports:
        """Call what `make` returns for each member; return the reports."""
        reports: Reports = {}
        for member in list(self._members):
            reports |= self._guard(member, make(member))
        return reports

    def _guard(self, member: WorkerTrial, act: Callable[[], TrialReport | None]) -> Reports:
        """Call `act`; return its report or that of its error. A trial that has ended leaves."""
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
            logger.warning("Trial %s has failed", member.name, exc_info=error)
        report = member.failure_report(error)
        _clear_tracebacks(error)
        return report


def _clear_tracebacks(error: BaseException | None) -> None:
    """Clear the tracebacks: their frames keep the trial, and its GPU memory, alive."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
