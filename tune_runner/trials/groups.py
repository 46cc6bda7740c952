"""Running and waiting trials, and the groups in which `--fuse` trains them together.

Without `--fuse` every group is a single trial. `Assignment` and `AssignedTrial` go to workers.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_runner.checkpoints.locations import trial_location
from tune_runner.events import TrialRecord, TrialReport
from tune_runner.resources.allocation import TrialResources
from tune_runner.trials.retries import NodeLosses

REPORT = "report"
"""Key of the `GroupReport` in a Tune result."""

ASSIGNMENT = "assignment"
"""Key of the `Assignment` in a Tune configuration."""


@dataclass(frozen=True, slots=True)
class AssignedTrial:
    """A trial as a worker gets it, besides the data."""

    number: int
    name: str
    config: Mapping[str, Any]
    checkpoint: str
    """Location of the trial's own checkpoint (`tune_runner.checkpoints.store`)."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Trials of one worker: a single one, or several that are trained as one computation."""

    trials: tuple[AssignedTrial, ...]
    objective: str
    resources: TrialResources
    """Resources of the whole group."""

    checkpoints: str
    """Location of the checkpoints of all trials of the study."""

    @property
    def number(self) -> int:
        """Number of the first trial."""
        return self.trials[0].number

    @property
    def name(self) -> str:
        """Name of the group, for people."""
        num_others = len(self.trials) - 1
        return self.trials[0].name + (f" and {num_others} more" if num_others else "")


@dataclass(slots=True)
class ActiveTrial:
    """A trial that runs, or that waits for a worker."""

    record: TrialRecord
    epoch: int
    resources: TrialResources
    """Resources of its group."""

    fusion_key: str | None = None
    """Trials with equal keys may be trained as one computation; None: this one runs alone."""

    pruned: bool = False
    num_failures: int = 0
    """Transient failures so far."""

    node_losses: NodeLosses = field(default_factory=NodeLosses)
    not_before: float = 0.0
    """Time (`time.monotonic`) before which a retry does not start."""

    last_report: TrialReport | None = None
    charged_seconds: float = 0.0
    """Seconds of the group's resources charged to this trial: each of two members is charged
    half."""

    group_seconds: float = 0.0
    """Seconds that the trial was in its group."""

    def can_group_with(self, other: "ActiveTrial") -> bool:
        """Return whether the two can be in one group."""
        return (
            self.fusion_key is not None
            and self.fusion_key == other.fusion_key
            and self.resources == other.resources
        )

    @property
    def is_ready(self) -> bool:
        """Return whether a waiting trial may start now."""
        return time.monotonic() >= self.not_before

    @property
    def mean_fraction(self) -> float:
        """Mean fraction of the group's resources that was charged to this trial."""
        return self.charged_seconds / self.group_seconds if self.group_seconds else 1.0


@dataclass(slots=True)
class TrialGroup:
    """Trials that one worker trains; those that have ended leave."""

    trials: list[ActiveTrial]
    resources: TrialResources
    started: bool = False
    error: str | None = None
    """Reason of the worker's failure, as Ray reports it."""

    is_fused: bool = field(init=False)
    """True if it started with several members."""

    _since: float = field(init=False, default_factory=time.monotonic)
    """Time of the last change of members."""

    def __post_init__(self) -> None:
        self.is_fused = len(self.trials) > 1

    def assignment(self, objective: str, checkpoints: str) -> Assignment:
        """Return the group as a worker gets it.

        Args:
            objective: name of the metric that is searched by.
            checkpoints: location of all trials' checkpoints.
        """
        records = [trial.record for trial in self.trials]
        trials = tuple(
            AssignedTrial(r.number, r.name, r.config, trial_location(checkpoints, r.number))
            for r in records
        )
        return Assignment(trials, objective, self.resources, checkpoints)

    def start(self) -> None:
        """Record that a worker has the group from now on."""
        self.started, self._since = True, time.monotonic()

    def find(self, number: int) -> ActiveTrial | None:
        """Return the member with that number; None if it has left."""
        return next((t for t in self.trials if t.record.number == number), None)

    def leave(self, trial: ActiveTrial) -> None:
        """Remove a member; the time since the last change is charged to all in equal parts."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        for member in self.trials:
            member.charged_seconds += seconds / len(self.trials)
            member.group_seconds += seconds
        self.trials = [member for member in self.trials if member is not trial]
