"""Answers of `--list`, `--dry-run` and `--status`, which `--json` writes for programs.

The text for people is made from the same objects, so the two never differ. `docs/reference/json.md`
is written from this module. A number that is not finite is null in JSON, which has no such numbers.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class SpaceAnswer:
    """A shipped search space, one object of the list that `--list --json` writes."""

    name: str
    question: str
    """Question that the study answers, as a sentence."""

    strategy: str
    """`grid` runs every cell; any other is the sampler that proposes points."""

    cells: int | None
    """Cells of the grid; null for a sampled space."""

    seeds: int
    """Seeds that every cell or point is run with."""

    trials: int
    """Trials in total: cells times seeds, or those of the sampled space."""

    variant: str | None
    """Variant whose preset it starts from; null if the variant is searched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveAnswer:
    """Validation metric that a study selects by."""

    name: str
    direction: str
    """`maximize` or `minimize`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontAnswer:
    """Point that is part of a study's answer: with several objectives one of its front."""

    number: int
    """Number of its first trial."""

    name: str
    values: Mapping[str, float]
    """Mean over its seeds of each metric that the study judges by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTrialAnswer:
    """Trial of a grid, in the order in which trials are run."""

    number: int
    variant: str
    seed: int
    params: Mapping[str, Any]
    """Searched values by dotted path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurementAnswer:
    """Measured cost of the heaviest configuration of a variant, in a process of its own."""

    variant: str
    epoch_seconds: float
    validation_seconds: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimateAnswer:
    """Estimated cost of a study, from `--probe`."""

    measurements: Sequence[MeasurementAnswer]
    max_concurrent: int
    """Trials that run at a time."""

    memory_bytes: int
    """Memory of those trials together, without data and libraries."""

    total_memory_bytes: int
    """Memory of this machine."""

    seconds: tuple[float, float]
    """Least and most: every trial runs at least its patience and at most its epochs."""

    kilowatt_hours: tuple[float, float]
    """Least and most, at the draw that is assumed for a busy core."""

    fusion: str | None
    """Gain of training several trials as one computation; null without `--fuse`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanAnswer:
    """Study that would be run: the object that `--dry-run --json` writes."""

    study: str
    space: str
    question: str
    dataset: str
    protocol: str
    objective: ObjectiveAnswer
    """Objective, or the first of several."""

    sampler: str
    pruner: str
    seeds: Sequence[int]
    cells: int | None
    """Cells of the grid; null if a sampler proposes points."""

    num_trials: int
    """Trials in total, replicates included."""

    presets: Sequence[str]
    """Sources of the base configurations, a sentence for each variant."""

    fuse: int | Literal["auto"]
    """Trials that are trained as one computation at most."""

    budget: str | None = None
    """Prices, and budgets in money and energy, in words; null if there are none."""

    trials: Sequence[PlannedTrialAnswer] = ()
    """Every trial of a grid; empty if a sampler proposes points."""

    domains: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Searched domains by path, as a space's `to_dict` has them; empty for a grid."""

    objectives: Sequence[ObjectiveAnswer] = ()
    """Objectives; one, unless the space has several."""

    constraint: str | None = None
    """Condition that the result must meet; null: there is none."""

    estimate: EstimateAnswer | None = None
    """Set with `--probe`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialAnswer:
    """Trial of a study that was begun."""

    number: int
    name: str
    epoch: int | None
    """Last epoch that was validated; null: none yet."""

    value: float | None
    """Objective at that epoch; of a complete trial its score."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureAnswer:
    """Trial that failed."""

    number: int
    name: str
    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusAnswer:
    """State of a study: the object that `--status NAME --json` writes."""

    study: str
    space: str
    dataset: str
    state: Literal["running", "complete", "stopped"]
    """`running` while a command runs the study; `stopped`: `resume_command` continues it."""

    num_trials: int
    """Trials that the complete study holds."""

    finished: int
    """Trials that have ended: complete, pruned and failed."""

    counts: Mapping[str, int]
    """Trials by state: complete, running, interrupted, pruned, failed. Trials that a command left
    open are interrupted, and run again after `--resume`."""

    objective: ObjectiveAnswer
    """Objective, or the first of several."""

    best: TrialAnswer | None
    """Best complete trial; null while there is none. With a constraint the best of those that meet
    it, with several objectives the one of the front that is best in the first."""

    running: Sequence[TrialAnswer]
    failures: Sequence[FailureAnswer]
    seconds_left: float | None
    """Estimated from the mean duration of the trials so far; null if nothing runs or none ended."""

    resume_command: str | None
    """Command that continues the study; null if it runs or is complete."""

    objectives: Sequence[ObjectiveAnswer] = ()
    """Objectives; one, unless the space has several."""

    constraint: str | None = None
    """Condition that the result must meet; null: there is none."""

    front: Sequence[FrontAnswer] = ()
    """Points that are the answer so far, the best in the first objective first; empty with one
    objective and no constraint."""


def to_json(answer: Any) -> str:
    """Return an answer, or a list of answers, as JSON that any parser reads."""
    data = [asdict(one) for one in answer] if isinstance(answer, Sequence) else asdict(answer)
    return json.dumps(_finite(data), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
