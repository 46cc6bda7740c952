"""Leads a study: takes proposals from the study store, tells the callbacks, settles every end.

The engine that runs the trials (Ray) knows them by keys of its own; this class knows neither Ray
nor MLflow. It is the one place where the state of a trial is decided.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from diffrec.config.families import AnyConfig
from diffrec.errors import UserError
from diffrec.training.fused.compatibility import fusion_key
from tune_runner.events import (
    GroupReport,
    Outcome,
    StudyCallback,
    TrialRecord,
    TrialReport,
    TrialResult,
)
from tune_runner.resources.allocation import ONE_CPU, TrialResources
from tune_runner.schema import COST_CPUS, COST_GPUS
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import NO_LIMITS, RunLimits
from tune_runner.trials.groups import ActiveTrial, Assignment, TrialGroup
from tune_runner.trials.retries import classify_failure_message, resources_for_retry, retries_alone

logger = logging.getLogger(__name__)

_Method = TypeVar("_Method", bound=Callable[..., Any])

Resolve = Callable[[Mapping[str, Any], int], AnyConfig]
"""(searched values, seed) to the whole configuration."""

_AHEAD = 2
"""Groups' worth of trials of a grid that may wait for companions of their kind."""


def stop_study_on_disk_error(otherwise: Any) -> Callable[[_Method], _Method]:
    """Let a disk that is full halt the study in good order, instead of failing trial after trial.

    The engine would take the exception for one of the trial's.
    """

    def wrap(method: _Method) -> _Method:
        @wraps(method)
        def guarded(self: "StudyController", *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except OSError as error:
                where = f" ({error.filename})" if error.filename else ""
                self.stop(f"{error.strerror or error}{where}")
                return otherwise

        return guarded  # type: ignore[return-value]

    return wrap


class StudyController:
    """One study's trials, from proposal to end."""

    def __init__(
        self,
        store: StudyStore,
        resolve: Resolve,
        *,
        objective: str,
        checkpoints: str,
        recorder: StudyCallback | None = None,
        callbacks: Sequence[StudyCallback] = (),
        resources: TrialResources = ONE_CPU,
        max_resources: TrialResources | None = None,
        limits: RunLimits = NO_LIMITS,
    ) -> None:
        """Begin.

        Args:
            store: the study.
            resolve: (searched values, seed) to the whole configuration.
            objective: name of the metric that is searched by.
            checkpoints: where trials keep their checkpoints.
            recorder: called before the Optuna study is updated. If the driver dies in between, the
                trial is still open in Optuna and its end is reported again; in the other order
                MLflow would never learn of it.
            callbacks: callbacks that are called afterwards.
            resources: what a trial is given.
            max_resources: the most that one node can give; None: `resources`.
            limits: what this run of the command may do.
        """
        self.store = store
        self.stop_reason: str | None = None
        self._resolve, self._objective, self._checkpoints = resolve, objective, checkpoints
        self._recorder = () if recorder is None else (recorder,)
        self._callbacks = callbacks
        self._resources, self._max_resources = resources, max_resources or resources
        self._left = limits.trials
        self._hours = limits.hours
        self._deadline = None if self._hours is None else time.monotonic() + 3600 * self._hours
        self._groups: dict[str, TrialGroup] = {}
        self._waiting: list[ActiveTrial] = []
        """Trials that the study has given out and no group has: to be tried again, or of a kind
        that did not fit the group they were drawn for."""

    @property
    def active(self) -> list[str]:
        """Keys, as Ray Tune knows them, of the groups that run."""
        return list(self._groups)

    @property
    def end_reason(self) -> str | None:
        """Why no more trials were given out although the study goes on; None where nothing did."""
        if self.stop_reason is None and self._left == 0:
            return "the budget of trials is spent"
        return self.stop_reason

    @property
    def is_done(self) -> bool:
        """Whether no trial runs, none waits and none is left to ask for."""
        return not self._groups and (not self._waiting or self.stop_reason is not None)

    @stop_study_on_disk_error(None)
    def next_group(self, key: str) -> Assignment | None:
        """Give the engine trials to run under `key`; None to wait, or where `is_done`."""
        self.check_deadline()
        if self.stop_reason is not None or self._is_reserving():
            return None
        trials = self._fill_group()
        if not trials:
            return None
        self._groups[key] = group = TrialGroup(trials, trials[0].resources)
        return group.assignment(self._objective, self._checkpoints)

    @stop_study_on_disk_error(None)
    def on_start(self, key: str) -> None:
        """Say that the group was given a worker."""
        group = self._groups[key]
        group.start()
        for trial in group.trials:
            self._notify("on_trial_start", trial.record)

    @stop_study_on_disk_error(False)
    def on_report(self, key: str, reports: GroupReport) -> bool:
        """Take the reports of a group's trials; return whether it is to be stopped.

        A trial that has ended, or was given up as hopeless, is settled at once and leaves its
        group; a group that all have left is at its end.
        """
        group = self._groups[key]
        for number, report in reports.trials.items():
            trial = group.find(number)
            if trial is not None:  # else a straggler, which changes nothing
                self._handle_report(group, trial, report)
        return not group.trials

    def set_error(self, key: str, error: str) -> None:
        """Keep the reason of a failure that `end` will settle."""
        if key in self._groups:
            self._groups[key].error = error

    @stop_study_on_disk_error(None)
    def on_end(self, key: str, *, failed: bool) -> None:
        """Settle the trials of a group that the engine is done with.

        One that was merely interrupted stays open in the study, to go on another time; one that
        had an accident is put back, to go on from its checkpoint.
        """
        group = self._groups.pop(key, None)
        if group is None or not failed:
            return
        error = group.error or "the worker was lost"
        for trial in group.trials:
            outcome = Outcome(failure=error, failure_kind=classify_failure_message(error))
            epochs = {} if trial.last is None else trial.last.epochs
            trial.last = TrialReport(trial.epoch, None, epochs, outcome)
            self._finish(group, trial)

    def stop(self, reason: str) -> None:
        """Give out no more trials; those that run stay open in the Optuna study."""
        self.stop_reason = self.stop_reason or reason

    def check_deadline(self) -> None:
        """Halt the study when its time is spent."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.stop(f"the budget of {self._hours:g} hours is spent")

    def _fill_group(self) -> list[ActiveTrial]:
        """Return a group: the trial that waits longest, or a new one, and what goes with it.

        What is drawn on the way and does not fit waits for a later group. A sampler is asked no
        further after the first that does not fit: it would propose without knowing the results.
        """
        first = self._waiting.pop(0) if self._waiting else self._next_trial()
        if first is None:
            return []
        size = self._size() if first.fusion_key is not None else 1
        group = [first, *[f for f in self._waiting if f.can_group_with(first)][: size - 1]]
        self._waiting = [f for f in self._waiting if all(f is not member for member in group)]
        most = 1 if self.store.is_sampled else _AHEAD * self._resources.fuse
        while len(group) < size and len(self._waiting) < most:
            trial = self._next_trial()
            if trial is None:
                break
            (group if trial.can_group_with(first) else self._waiting).append(trial)
        return group

    def _size(self) -> int:
        """Return how many trials to fuse at most: no worker shall be idle for want of trials."""
        coming = self.store.num_remaining()
        if self._left is not None:
            coming = min(coming, self._left)
        flying = sum(len(group.trials) for group in self._groups.values())
        whole = 1 + len(self._waiting) + coming + flying
        return min(self._resources.fuse, math.ceil(whole / self._resources.max_concurrent))

    def _next_trial(self) -> ActiveTrial | None:
        """Take a new trial from the study; None where there is none."""
        while self._left != 0 and (record := self.store.ask()) is not None:
            try:
                config = self._resolve(record.params, record.seed)
            except UserError as error:  # a sampled point whose values do not fit together
                self._reject(record, str(error))
                continue
            self._left = None if self._left is None else self._left - 1
            record = replace(record, config=config.to_dict(), variant=config.variant)
            kind = fusion_key(config) if self._resources.fuse > 1 else None
            return ActiveTrial(record, record.last_epoch, self._resources, kind)
        return None

    def _is_reserving(self) -> bool:
        """Whether a trial waits for a larger share: others would take its place again and again."""
        return any(g.resources != self._resources and not g.started for g in self._groups.values())

    def _handle_report(self, group: TrialGroup, trial: ActiveTrial, report: TrialReport) -> None:
        trial.last, trial.epoch = report, max(trial.epoch, report.epoch)
        self._notify("on_trial_report", trial.record, report)
        if report.objective is not None and not math.isnan(report.objective):
            number = trial.record.number
            hopeless = self.store.report(number, report.epoch, report.objective)
            # A run that has ended by itself has been paid for: it stands, whatever the pruner says.
            trial.pruned = hopeless and report.outcome is None
        if trial.pruned or report.outcome is not None:
            self._finish(group, trial)

    def _finish(self, group: TrialGroup, trial: ActiveTrial) -> None:
        """Settle a trial that is over, unless it is tried again."""
        group.leave(trial)
        outcome = None if trial.pruned or trial.last is None else trial.last.outcome
        if outcome is not None and self._schedule_retry(group, trial, outcome):
            return
        end = _final_result(trial, outcome)
        if end.state == "failed" and self.stop_reason is not None:
            return
        share = trial.resources
        held = {
            COST_CPUS: share.cpus * trial.mean_fraction,
            COST_GPUS: share.gpus * trial.mean_fraction,
        }
        end = replace(end, metrics={**end.metrics, **held})
        number = trial.record.number
        for callback in self._recorder:
            callback.on_trial_end(trial.record, end)
        if end.state == "complete" and end.value is not None:
            self.store.complete(number, end.value)
        elif end.state == "pruned":
            self.store.prune(number)
        else:
            self.store.fail(number, end.error or "")
        for callback in self._callbacks:
            callback.on_trial_end(trial.record, end)

    def _schedule_retry(self, group: TrialGroup, trial: ActiveTrial, outcome: Outcome) -> bool:
        """Put a trial back that may get through another time; say whether it was."""
        reason = outcome.failure
        if reason is None:
            return False
        if outcome.failure_kind == "disk_full":
            self.stop(f"{reason}; free some space")
            return True
        trial.num_failures += outcome.failure_kind == "transient"
        share = resources_for_retry(
            outcome.failure_kind,
            num_failures=trial.num_failures,
            resources=trial.resources,
            initial=self._resources,
            limit=self._max_resources,
            was_fused=group.is_fused,
        )
        if share is None:
            return False
        logger.warning("Trial %s goes on again after: %s", trial.record.name, reason)
        kind = (
            None
            if retries_alone(outcome.failure_kind, num_failures=trial.num_failures)
            else trial.fusion_key
        )
        again = ActiveTrial(trial.record, trial.epoch, share, kind, num_failures=trial.num_failures)
        self._waiting.append(again)
        return True

    def _reject(self, record: TrialRecord, error: str) -> None:
        end = TrialResult("failed", 0, error=error)
        self._notify("on_trial_start", record)
        self._notify("on_trial_end", record, end)
        self.store.fail(record.number, error)

    def _notify(self, event: str, *args: Any) -> None:
        for callback in (*self._recorder, *self._callbacks):
            getattr(callback, event)(*args)


def _final_result(trial: ActiveTrial, outcome: Outcome | None) -> TrialResult:
    """Decide how a trial ended; without an outcome it was given up."""
    if outcome is None:
        return TrialResult("pruned", trial.epoch)
    error = outcome.failure
    if error is None and (outcome.value is None or not math.isfinite(outcome.value)):
        error = f"the objective is not a number ({outcome.value}) after epoch {trial.epoch}"
    if error is not None:
        return TrialResult("failed", trial.epoch, metrics=outcome.metrics, error=error)
    return TrialResult(
        "complete", trial.epoch, outcome.value, outcome.metrics, artifacts=outcome.artifacts
    )
