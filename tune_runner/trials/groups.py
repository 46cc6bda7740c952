"""Trials in the hands of the engine, in the groups that are trained as one computation.

Without `--fuse` every group is a single trial. What is said of them here goes to workers, too.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tune_runner.checkpoints.locations import trial_location
from tune_runner.events import TrialRecord, TrialReport
from tune_runner.resources.allocation import TrialResources


@dataclass(frozen=True, slots=True)
class AssignedTrial:
    """What a worker needs to run a trial, besides the data."""

    number: int
    name: str
    config: Mapping[str, Any]
    checkpoint: str
    """Where the trial's own checkpoint lies (`tune_runner.checkpoints.store`)."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The trials of a worker: one, or several to be trained as one computation."""

    trials: tuple[AssignedTrial, ...]
    objective: str
    resources: TrialResources
    """What they are given together."""

    checkpoints: str
    """Where all trials of the study keep theirs."""

    @property
    def number(self) -> int:
        """The first trial's."""
        return self.trials[0].number

    @property
    def name(self) -> str:
        """The group's name for people."""
        others = len(self.trials) - 1
        return self.trials[0].name + (f" and {others} more" if others else "")


@dataclass(slots=True)
class ActiveTrial:
    """A trial that the engine has, or that waits to be given to it."""

    record: TrialRecord
    epoch: int
    resources: TrialResources
    """What its group is given."""

    fusion_key: str | None = None
    """Trials of one fusion_key may be trained as one computation; None for one that goes alone."""

    pruned: bool = False
    num_failures: int = 0
    last: TrialReport | None = None
    charged_seconds: float = 0.0
    """Seconds for which it held the whole share; of two members each holds a half."""

    group_seconds: float = 0.0
    """For which it was in its group."""

    def can_group_with(self, other: "ActiveTrial") -> bool:
        """Return whether the two can be in one group."""
        return (
            self.fusion_key is not None
            and self.fusion_key == other.fusion_key
            and self.resources == other.resources
        )

    @property
    def mean_fraction(self) -> float:
        """The part of the group's share that was its own, on average."""
        return self.charged_seconds / self.group_seconds if self.group_seconds else 1.0


@dataclass(slots=True)
class TrialGroup:
    """The trials that one worker trains; those that have ended leave."""

    trials: list[ActiveTrial]
    resources: TrialResources
    started: bool = False
    error: str | None = None
    """What the engine says of the worker's end."""

    is_fused: bool = field(init=False)
    """Whether it began with several members."""

    _since: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.is_fused = len(self.trials) > 1

    def assignment(self, objective: str, checkpoints: str) -> Assignment:
        """Return what a worker is told of the group.

        Args:
            objective: name of the metric that is searched by.
            checkpoints: where all trials keep their checkpoints.
        """
        records = [trial.record for trial in self.trials]
        trials = tuple(
            AssignedTrial(r.number, r.name, r.config, trial_location(checkpoints, r.number))
            for r in records
        )
        return Assignment(trials, objective, self.resources, checkpoints)

    def start(self) -> None:
        """Note that a worker has the group from now on."""
        self.started, self._since = True, time.monotonic()

    def find(self, number: int) -> ActiveTrial | None:
        """Return the member of that number; None where it has left."""
        return next((f for f in self.trials if f.record.number == number), None)

    def leave(self, trial: ActiveTrial) -> None:
        """Let a member go; up to now all members held equal parts of the share."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        for member in self.trials:
            member.charged_seconds += seconds / len(self.trials)
            member.group_seconds += seconds
        self.trials = [member for member in self.trials if member is not trial]


REPORT = "report"
"""Key of the `GroupReport` in a Tune result."""


ASSIGNMENT = "assignment"
"""Key of the `Assignment` in a Tune configuration."""
