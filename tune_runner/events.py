"""Messages from worker to driver, and from driver to callbacks. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FailureKind = Literal["permanent", "transient", "node_lost", "out_of_memory", "disk_full"]
FinalState = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a run that has finished or failed in the worker."""

    value: float | None = None
    """Objective of the best-validation state."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """`best/...`, `test/...` and `cost/...`. Of a study with several objectives or a constraint the
    `best/valid/...` that it judges by are read; no sampler and no pruner reads the others."""

    failure: str | None = None
    """Reason why the run has no score, for example a loss that is not finite; None: it has one."""

    artifacts: Mapping[str, Any] = field(default_factory=dict)
    """Files of the trial's MLflow run, by name: JSON values."""

    failure_kind: FailureKind = "permanent"
    """Kind of the failure; decides whether the trial is retried."""


@dataclass(frozen=True, slots=True)
class TrialReport:
    """Epochs since the last report, up to a validation or the end."""

    epoch: int
    """Last epoch that the report covers, one-based."""

    objective: float | None
    """Validation metric that is searched by, at `epoch`; None: it was not validated."""

    epochs: Mapping[int, Mapping[str, float]]
    """Metrics of each epoch."""

    outcome: Outcome | None = None
    """Set in the last report of a run."""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """Reports of one step of a worker: one for each trial that was validated or ended."""

    trials: Mapping[int, TrialReport]
    """Reports by number of the trial."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial, as the store, the controller and the callbacks know it."""

    number: int
    """Number in the study, from 0."""

    name: str
    params: Mapping[str, Any]
    """Searched values, by path."""

    seed: int
    config: Mapping[str, Any] = field(default_factory=dict)
    """Whole configuration as JSON values; empty until the values are resolved."""

    variant: str = ""
    last_epoch: int = 0
    """Last epoch that the Optuna study knew when this driver took the trial up."""

    retry_of: int | None = None
    """Number of the failed trial that this one repeats."""

    role: str | None = None
    """None in the search; `schema.CONFIRM` for a point that is run again on fresh seeds."""


@dataclass(frozen=True, slots=True)
class Leader:
    """Point of the search with the best mean over its seeds."""

    number: int
    """Its complete trial that ended last."""

    name: str
    value: float
    """Mean of the objective over the seeds that it has run with."""

    num_seeds: int = 1


@dataclass(frozen=True, slots=True)
class TrialResult:
    """Final state of a trial, as the controller has decided it."""

    state: FinalState
    epoch: int
    value: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    leader: Leader | None = None
    """Leader after this end; None for callbacks that are called before it counts."""


@dataclass(frozen=True, slots=True)
class RecordedTrials:
    """Trials as the record (outbox and MLflow) knows them, to be compared with the Optuna study."""

    started: frozenset[int] = frozenset()
    """Numbers of the trials that were begun."""

    ended: Mapping[int, str] = field(default_factory=dict)
    """Final state of those that have ended, by number."""

    unsettled: frozenset[int] = frozenset()
    """Trials whose end may be unknown to the study: a driver records an end first, and may be
    killed before it updates the study. At most one for each driver."""

    def with_states(self, states: Mapping[int, str]) -> "RecordedTrials":
        """Return a copy that includes the states in MLflow."""
        ended = {number: state for number, state in states.items() if state != "running"}
        return RecordedTrials(self.started | states.keys(), {**ended, **self.ended}, self.unsettled)


NOTHING_RECORDED = RecordedTrials()


class StudyCallback:
    """Callback interface; its methods run in the driver's main thread and do nothing by default."""

    def on_trial_start(self, trial: TrialRecord) -> None:
        """Handle a trial that a worker has taken up; called again after a retry."""

    def on_trial_report(self, trial: TrialRecord, report: TrialReport) -> None:
        """Handle a report; after a retry the same one may come again."""

    def on_trial_end(self, trial: TrialRecord, end: TrialResult) -> None:
        """Handle the end of a trial: complete, pruned or failed."""
