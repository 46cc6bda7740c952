"""Prometheus gauges of a study, exported at the endpoint of Ray's own metrics.

They are set in the driver. Gauges of the workers would stay on when a worker takes its next trial.
`deploy/grafana-dashboard.json` shows them under these names, which Ray prefixes with `ray_`.
"""

import time
from collections import Counter
from collections.abc import Mapping

from ray.util.metrics import Gauge

from search_spaces import Objective
from tune_runner.events import FinalState, StudyCallback, TrialRecord, TrialResult

BEST = "diffrec_study_best"
"""The objective of the best complete trial; missing until there is one."""

TRIALS = "diffrec_study_trials"
"""Trials by state: running, complete, pruned, failed."""

PLANNED = "diffrec_study_trials_planned"
"""Trials that the study will hold when it is complete."""

_REFRESH_SECONDS = 5.0
"""Ray forgets a gauge that was not set for twice its export interval, 20 seconds."""

STATES = ("running", "complete", "pruned", "failed")


class Gauges(StudyCallback):
    """Callback that keeps the study's gauges up to date; Ray must be connected."""

    def __init__(self, study: str, objective: Objective) -> None:
        self._objective = objective
        self._running: set[int] = set()
        self._ended: Counter[str] = Counter()
        self._best: float | None = None
        self._total, self._shown = 0, 0.0
        # Ray accepts only ASCII in tags.
        study_tag = {"Study": study.encode("ascii", "backslashreplace").decode()}
        self._best_gauge = Gauge(BEST, "Objective of the best trial", ("Study", "Objective"))
        self._best_gauge.set_default_tags(study_tag | {"Objective": objective.name})
        self._trials_gauge = Gauge(TRIALS, "Trials by state", ("Study", "State"))
        self._trials_gauge.set_default_tags(study_tag)
        self._planned_gauge = Gauge(PLANNED, "Trials of the complete study", ("Study",))
        self._planned_gauge.set_default_tags(study_tag)

    def start(
        self, total: int, ended: Mapping[FinalState, int], best: tuple[float, str] | None
    ) -> None:
        """Set the gauges to what earlier drivers reached: `ended` and `best`."""
        self._ended.update(ended)
        self._total, self._best = total, None if best is None else best[0]
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
        self._running.add(trial.number)
        self._show()

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Count a trial by its end, and show its score if there is no better one."""
        self._running.discard(trial.number)
        self._ended[end.state] += 1
        value, is_better = end.value, self._objective.is_better
        if value is not None and (self._best is None or is_better(value, self._best)):
            self._best = value
        self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        self._planned_gauge.set(self._total)
        counts = {"running": len(self._running), **self._ended}
        for state in STATES:
            self._trials_gauge.set(counts.get(state, 0), tags={"State": state})
        if self._best is not None:
            self._best_gauge.set(self._best)
