"""Prometheus gauges of a study, exported at the endpoint of Ray's own metrics.

They are set in the driver. Gauges of the workers would stay on when a worker takes its next trial.
`deploy/grafana-dashboard.json` shows them under these names, which Ray prefixes with `ray_`.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from ray.util.metrics import Gauge

from search_spaces import Objective
from tune_runner.events import (
    FinalState,
    Leader,
    StudyCallback,
    TrialRecord,
    TrialReport,
    TrialResult,
)
from tune_runner.monitoring.durations import estimate_seconds_left

BEST = "diffrec_study_best"
"""The objective of the best complete trial; missing until there is one."""

TRIALS = "diffrec_study_trials"
"""Trials by state: running, complete, pruned, failed."""

PLANNED = "diffrec_study_trials_planned"
"""Trials that the study will hold when it is complete."""

FINISHED = "diffrec_study_trials_finished"
"""Trials that have ended: complete, pruned or failed."""

SECONDS_LEFT = "diffrec_study_seconds_left"
"""Estimate of the time until the study is complete; missing while nothing is known."""

RUNNING_OBJECTIVE = "diffrec_trial_objective"
"""Last validation of a running trial, by its number; of `MAX_RUNNING` trials at most."""

RUNNING_EPOCH = "diffrec_trial_epoch"
"""Last epoch that a running trial has reported."""

MAX_RUNNING = 16
"""Running trials that have gauges of their own: each number is a time series for Prometheus."""

_REFRESH_SECONDS = 5.0
"""Ray forgets a gauge that was not set for twice its export interval, 20 seconds."""

STATES = ("running", "complete", "pruned", "failed")


class Gauges(StudyCallback):
    """Callback that keeps the study's gauges up to date; Ray must be connected."""

    def __init__(
        self,
        study: str,
        objective: Objective,
        *,
        concurrent: int = 1,
        durations: Sequence[float] = (),
    ) -> None:
        """Make the gauges; `start` sets them.

        Args:
            study: its name.
            objective: the metric that is searched by.
            concurrent: trials that run at a time, for the estimate of the time left.
            durations: seconds of each trial that has ended before, for the same.
        """
        self._concurrent = concurrent
        self._running: dict[int, float] = {}
        """Start of each running trial, by number."""
        self._reports: dict[int, TrialReport] = {}
        self._durations = list(durations)
        self._ended: Counter[str] = Counter()
        self._best: float | None = None
        self._total, self._shown = 0, 0.0
        # Ray accepts only ASCII in tags.
        study_tag = {"Study": study.encode("ascii", "backslashreplace").decode()}
        self._best_gauge = Gauge(BEST, "Objective of the best trial", ("Study", "Objective"))
        self._best_gauge.set_default_tags(study_tag | {"Objective": objective.name})
        self._trials_gauge = Gauge(TRIALS, "Trials by state", ("Study", "State"))
        self._trials_gauge.set_default_tags(study_tag)
        tags = {
            PLANNED: ("Trials of the complete study", ("Study",)),
            FINISHED: ("Trials that have ended", ("Study",)),
            SECONDS_LEFT: ("Estimated seconds until the study is complete", ("Study",)),
            RUNNING_OBJECTIVE: ("Last validation of a running trial", ("Study", "Trial")),
            RUNNING_EPOCH: ("Last epoch of a running trial", ("Study", "Trial")),
        }
        self._gauges = {name: Gauge(name, text, keys) for name, (text, keys) in tags.items()}
        for gauge in self._gauges.values():
            gauge.set_default_tags(study_tag)

    def start(self, total: int, ended: Mapping[FinalState, int], best: Leader | None) -> None:
        """Set the gauges to what earlier drivers reached: `ended` and `best`."""
        self._ended.update(ended)
        self._total, self._best = total, None if best is None else best.value
        self._show()

    def plan(self, total: int) -> None:
        """Update the number of planned trials; a confirmation adds some."""
        self._total = total
        self._show()

    def tick(self) -> None:
        """Set the gauges again before Ray drops them."""
        if time.monotonic() - self._shown >= _REFRESH_SECONDS:
            self._show()

    def on_trial_start(self, trial: TrialRecord) -> None:
        """Count a trial among the running ones."""
        self._running.setdefault(trial.number, time.monotonic())
        self._show()

    def on_trial_report(self, trial: TrialRecord, report: TrialReport) -> None:
        """Keep the report of a running trial, which the next refresh shows."""
        self._reports[trial.number] = report

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Count a trial by its end, and show the leader's mean."""
        now = time.monotonic()
        self._durations.append(now - self._running.pop(trial.number, now))
        self._reports.pop(trial.number, None)
        self._ended[end.state] += 1
        if end.leader is not None:
            self._best = end.leader.value
        self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        finished = sum(self._ended.values())
        self._gauges[PLANNED].set(self._total)
        self._gauges[FINISHED].set(finished)
        left = estimate_seconds_left(
            self._durations,
            remaining=self._total - finished,
            concurrent=self._concurrent,
            running=[self._shown - start for start in self._running.values()],
        )
        if left is not None or finished >= self._total:
            self._gauges[SECONDS_LEFT].set(left or 0.0)
        self._show_running()
        counts = {"running": len(self._running), **self._ended}
        for state in STATES:
            self._trials_gauge.set(counts.get(state, 0), tags={"State": state})
        if self._best is not None:
            self._best_gauge.set(self._best)

    def _show_running(self) -> None:
        """Set the gauges of running trials; Ray drops those of others, which nobody sets."""
        for number in list(self._running)[:MAX_RUNNING]:
            report, tags = self._reports.get(number), {"Trial": f"{number:04d}"}
            if report is not None:
                self._gauges[RUNNING_EPOCH].set(report.epoch, tags=tags)
                if report.objective is not None:
                    self._gauges[RUNNING_OBJECTIVE].set(report.objective, tags=tags)
