"""Controls a study's trials: asks the study store for trials, notifies the callbacks, ends trials.

Ray Tune runs the groups of trials under keys of its own; this class knows neither Ray nor MLflow.
The state of a trial is decided here and nowhere else.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from diffrec.config.base import ModelConfig
from diffrec.errors import UserError
from search_spaces.variants import variant_name
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
from tune_runner.trials import retries
from tune_runner.trials.disk_errors import stop_study_on_disk_error
from tune_runner.trials.groups import ActiveTrial, Assignment, TrialGroup
from tune_runner.trials.results import final_result

logger = logging.getLogger(__name__)

Resolve = Callable[[Mapping[str, Any], int], ModelConfig]
"""(searched values, seed) to the whole configuration."""

_GROUPS_AHEAD = 2
"""Groups' worth of grid trials that may wait for others that they can be fused with."""


class StudyController:
    """Trials of one study, from `ask` to their end."""

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
        """Start with no trial running.

        Args:
            store: the Optuna study.
            resolve: (searched values, seed) to the whole configuration.
            objective: name of the metric that is searched by.
            checkpoints: location of the trials' checkpoints.
            recorder: called before the Optuna study is updated. If the driver dies in between, the
                trial is still open in Optuna and its end is reported again; in the other order
                MLflow would never learn of it.
            callbacks: called afterwards.
            resources: what each group of trials gets.
            max_resources: the most that one node can give; None: `resources`.
            limits: what this run of the command may do.
        """
        self.store = store
        self.stop_reason: str | None = None
        """Why the study was stopped before its end; None while it was not."""

        self._resolve, self._objective, self._checkpoints = resolve, objective, checkpoints
        self._recorder = () if recorder is None else (recorder,)
        self._callbacks = callbacks
        self._resources, self._max_resources = resources, max_resources or resources
        self.max_concurrent = resources.max_concurrent  # groups at a time; an elastic cluster's
        self._trials_left = limits.trials
        self._hours = limits.hours
        self._deadline = None if self._hours is None else time.monotonic() + 3600 * self._hours
        self._groups: dict[str, TrialGroup] = {}
        self._num_workers = 0
        self._waiting: list[ActiveTrial] = []
        """Trials in no group: retries, and new trials that could not be fused with the group that
        was being filled."""

    @property
    def num_active(self) -> int:
        """Groups that run, or wait for a node."""
        return len(self._groups)

    def is_active(self, key: str) -> bool:
        """Return whether the group that Ray Tune knows by `key` runs, or waits for a node."""
        return key in self._groups

    @property
    def running(self) -> list[tuple[list[int], TrialResources]]:
        """Trials by worker that has taken them up, with what each worker holds."""
        groups = [group for group in self._groups.values() if group.started and group.trials]
        return [([t.record.number for t in group.trials], group.resources) for group in groups]

    @property
    def num_loading(self) -> int:
        """Groups that wait for a new worker; one that is reused has its libraries."""
        return max(0, len(self._groups) - self._num_workers)

    @property
    def end_reason(self) -> str | None:
        """Why this run of the command ended before the study did; None if nothing cut it short."""
        if self.stop_reason is None and self._trials_left == 0:
            return "the budget of trials is spent"
        return self.stop_reason

    @property
    def is_done(self) -> bool:
        """Return whether no trial runs, none waits and none remains."""
        return not self._groups and (not self._waiting or self.stop_reason is not None)

    @stop_study_on_disk_error(None)
    def next_group(self, key: str) -> Assignment | None:
        """Return trials to run under `key`; None: wait for others to end, or `is_done`."""
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
        """Record that a worker has taken up the group."""
        group = self._groups[key]
        group.start()
        self._num_workers = max(self._num_workers, sum(g.started for g in self._groups.values()))
        for trial in group.trials:
            self._notify("on_trial_start", trial.record)

    @stop_study_on_disk_error(False)
    def on_report(self, key: str, reports: GroupReport) -> bool:
        """Handle the reports of a group's trials; return whether the group is to be stopped.

        A trial that has finished or is pruned ends here and leaves its group. A group without
        trials is stopped.
        """
        group = self._groups[key]
        for number, report in reports.trials.items():
            trial = group.find(number)
            if trial is not None:  # None: a late report of a trial that has ended
                self._handle_report(group, trial, report)
        return not group.trials

    def set_error(self, key: str, error: str) -> None:
        """Keep the reason of a failure until `on_end` is called."""
        if key in self._groups:
            self._groups[key].error = error

    @stop_study_on_disk_error(None)
    def on_end(self, key: str, *, failed: bool) -> None:
        """Handle the end of a group that Ray Tune has run.

        After an interruption its trials stay open in the Optuna study and are resumed by the next
        driver. After a failure they are retried from their checkpoints, or have failed.
        """
        group = self._groups.pop(key, None)
        if group is None or not failed:
            return
        error = group.error or "the worker was lost"
        for trial in group.trials:
            outcome = Outcome(failure=error, failure_kind=retries.classify_failure_message(error))
            epochs = {} if trial.last_report is None else trial.last_report.epochs
            trial.last_report = TrialReport(trial.epoch, None, epochs, outcome)
            self._finish(group, trial)

    def stop(self, reason: str) -> None:
        """Hand out no more trials; those that run stay open in the Optuna study."""
        self.stop_reason = self.stop_reason or reason

    def check_deadline(self) -> None:
        """Stop the study when its time limit has passed."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.stop(f"the budget of {self._hours:g} hours is spent")

    def _fill_group(self) -> list[ActiveTrial]:
        """Return a group: the trial that has waited longest, or a new one, and others like it.

        A new trial that cannot be fused with the first waits for a later group. A sampler is asked
        for no more after the first such trial: it would sample without knowing the results.
        """
        ready = [trial for trial in self._waiting if trial.is_ready]
        first = ready[0] if ready else self._next_trial()
        if first is None:
            return []
        size = self._group_size() if first.fusion_key is not None else 1
        fitting = [t for t in ready if t is not first and t.can_group_with(first)]
        group = [first, *fitting[: size - 1]]
        self._waiting = [t for t in self._waiting if all(t is not member for member in group)]
        max_waiting = 1 if self.store.is_sampled else _GROUPS_AHEAD * self._resources.fuse
        while len(group) < size and len(self._waiting) < max_waiting:
            trial = self._next_trial()
            if trial is None:
                break
            (group if trial.can_group_with(first) else self._waiting).append(trial)
        return group

    def _group_size(self) -> int:
        """Return how many trials to fuse at most, such that no worker stays without trials."""
        remaining = self.store.num_remaining()
        if self._trials_left is not None:
            remaining = min(remaining, self._trials_left)
        running = sum(len(group.trials) for group in self._groups.values())
        total = 1 + len(self._waiting) + remaining + running
        return min(self._resources.fuse, math.ceil(total / self.max_concurrent))

    def _next_trial(self) -> ActiveTrial | None:
        """Ask the study store for a new trial; None: there is none."""
        while self._trials_left != 0 and (record := self.store.ask()) is not None:
            try:
                config = self._resolve(record.params, record.seed)
            except UserError as error:  # a sampled point whose values exclude each other
                self._reject(record, str(error))
                continue
            if self._trials_left is not None:
                self._trials_left -= 1
            variant = variant_name(record.params, config)
            record = replace(record, config=config.to_dict(), variant=variant)
            key = config.fusion_key() if self._resources.fuse > 1 else None
            return ActiveTrial(record, record.last_epoch, self._resources, key)
        return None

    def _is_reserving(self) -> bool:
        """Return whether a retried trial waits for more resources.

        New trials are held back meanwhile, or they would keep taking them.
        """
        return any(g.resources != self._resources and not g.started for g in self._groups.values())

    def _handle_report(self, group: TrialGroup, trial: ActiveTrial, report: TrialReport) -> None:
        trial.last_report, trial.epoch = report, max(trial.epoch, report.epoch)
        self._notify("on_trial_report", trial.record, report)
        if report.objective is not None and not math.isnan(report.objective):
            number = trial.record.number
            should_prune = self.store.report(number, report.epoch, report.objective)
            # A trial that has already finished keeps its result even if the pruner would stop it.
            trial.pruned = should_prune and report.outcome is None
        if trial.pruned or report.outcome is not None:
            self._finish(group, trial)

    def _finish(self, group: TrialGroup, trial: ActiveTrial) -> None:
        """End a trial, unless it is retried."""
        group.leave(trial)
        report = trial.last_report
        outcome = None if trial.pruned or report is None else report.outcome
        if outcome is not None and self._schedule_retry(group, trial, outcome):
            return
        result = final_result(trial, outcome, self.store.goals)
        if result.state == "failed" and self.stop_reason is not None:
            return
        fraction = trial.mean_fraction
        costs = {
            COST_CPUS: trial.resources.cpus * fraction,
            COST_GPUS: trial.resources.gpus * fraction,
        }
        self._close(trial.record, replace(result, metrics={**result.metrics, **costs}))

    def _close(self, record: TrialRecord, result: TrialResult) -> None:
        """Note a trial's end: in the record first, then in the study, which others look at."""
        for callback in self._recorder:
            callback.on_trial_end(record, result)
        if result.state == "complete" and result.value is not None:
            self.store.complete(record.number, result.value, result.metrics)
        elif result.state == "pruned":
            self.store.prune(record.number)
        else:
            self.store.fail(record.number, result.error or "")
        result = replace(result, leader=self.store.leader())
        for callback in self._callbacks:
            callback.on_trial_end(record, result)

    def _schedule_retry(self, group: TrialGroup, trial: ActiveTrial, outcome: Outcome) -> bool:
        """Queue a failed trial again if a retry may succeed; return whether it was."""
        reason, kind = outcome.failure, outcome.failure_kind
        if reason is None:
            return False
        if kind == "disk_full":
            self.stop(f"{reason}; free some space")
            return True
        trial.num_failures += kind == "transient"
        wait_seconds = trial.node_losses.add(trial.epoch) if kind == "node_lost" else 0.0
        resources = retries.resources_for_retry(
            kind,
            num_failures=trial.num_failures,
            resources=trial.resources,
            initial=self._resources,
            limit=self._max_resources,
            was_fused=group.is_fused,
        )
        if resources is None or math.isinf(wait_seconds):
            return False
        logger.warning("Trial %s is retried after: %s", trial.record.name, reason)
        runs_alone = retries.retries_alone(kind, num_failures=trial.num_failures)
        key = None if runs_alone else trial.fusion_key
        retry = ActiveTrial(trial.record, trial.epoch, resources, key)
        retry.num_failures, retry.node_losses = trial.num_failures, trial.node_losses
        retry.not_before = time.monotonic() + wait_seconds
        self._waiting.append(retry)
        return True

    def _reject(self, record: TrialRecord, error: str) -> None:
        """Fail a trial that has no valid configuration, without running it."""
        self._notify("on_trial_start", record)
        self._close(record, TrialResult("failed", 0, error=error))

    def _notify(self, event: str, *args: Any) -> None:
        for callback in (*self._recorder, *self._callbacks):
            getattr(callback, event)(*args)
