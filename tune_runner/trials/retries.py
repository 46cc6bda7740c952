"""Retry policy of failed trials; ours, since Ray's FailureConfig only counts failures.

`FailureConfig` cannot give a retry more memory, split a fused group, or stop the study when the
disk is full (tests/tune_runner/test_faults.py).

A transient failure (an exception, a killed worker) may not occur again, so the trial is resumed
from its checkpoint, a limited number of times. A lost node (preempted, drained, crashed) is not the
trial's fault and is never counted: it is resumed as often as needed, later and later while it makes
no progress, and fails only after `MAX_STALL_SECONDS` without any. Memory that ran out would run out
again: a fused trial is retried alone, then once with more resources. A permanent failure (a loss
that is not finite, an invalid configuration) would be the same again. A full disk is not the
trial's fault: the study stops, and the trial stays open.
"""

import errno
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tune_runner.events import FailureKind, Outcome
from tune_runner.resources.allocation import TrialResources

RETRIES = 2
"""Retries after transient failures before a trial counts as failed."""

MAX_STALL_SECONDS = 6 * 3600.0
"""Longest time that a trial is retried after lost nodes without finishing a validation."""

MAX_WAIT_SECONDS = 60.0
"""Longest wait before a retry after a lost node."""

_NODE_PHRASES = ("its node has died", "the actor's node was", "was preempted", "forcibly preempted")

_MEMORY_PHRASES = (
    "outofmemory",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "memory monitor",
    "cannot allocate memory",
)


@dataclass(slots=True)
class NodeLosses:
    """Losses of the nodes that a trial ran on, since it last made progress."""

    clock: Callable[[], float] = time.monotonic
    """Seconds of a clock that never goes back."""

    count: int = field(default=0, init=False)
    _epoch: int = field(default=-1, init=False)
    _since: float = field(default=0.0, init=False)

    def add(self, epoch: int) -> float:
        """Record a loss; return the seconds to wait before the retry, infinity for no retry.

        The first retry after progress is immediate; then the wait doubles from one second to
        `MAX_WAIT_SECONDS`.

        Args:
            epoch: last epoch that the trial has reported.
        """
        now = self.clock()
        if epoch > self._epoch:
            self._epoch, self._since, self.count = epoch, now, 0
        self.count += 1
        if now - self._since > MAX_STALL_SECONDS:
            return math.inf
        return 0.0 if self.count == 1 else min(2.0 ** (self.count - 2), MAX_WAIT_SECONDS)


def classify_failure(error: BaseException) -> FailureKind:
    """Return the kind of failure that an exception in a worker is."""
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    return classify_failure_message(f"{type(error).__name__}: {error}")


def classify_failure_message(message: str) -> FailureKind:
    """Return the kind of failure from what Ray reports of a worker that died."""
    lowered = message.lower()
    if any(phrase in lowered for phrase in _NODE_PHRASES):
        return "node_lost"
    if any(phrase in lowered for phrase in _MEMORY_PHRASES):
        return "out_of_memory"
    return "disk_full" if "no space left on device" in lowered else "transient"


def resources_for_retry(
    failure_kind: FailureKind,
    *,
    num_failures: int,
    resources: TrialResources,
    initial: TrialResources,
    limit: TrialResources,
    was_fused: bool = False,
) -> TrialResources | None:
    """Return the resources of a retry; None: the trial has failed.

    Args:
        failure_kind: why it ended.
        num_failures: its transient failures, this one included.
        resources: what it had this time.
        initial: what every trial of the study starts with.
        limit: the most that one node can give.
        was_fused: whether others shared the resources; alone the trial may have enough memory.
    """
    if failure_kind == "node_lost":
        return resources
    if failure_kind == "transient":
        return resources if num_failures <= RETRIES else None
    if failure_kind == "out_of_memory" and was_fused:
        return resources
    if failure_kind == "out_of_memory" and resources == initial:
        larger = resources.doubled(limit)
        return larger if larger != resources else None
    return None


def describe_failure(outcome: Outcome) -> str | None:
    """Return why a trial that is not retried has failed; None if it has not."""
    if outcome.failure_kind != "node_lost":
        return outcome.failure
    hours = MAX_STALL_SECONDS / 3600
    return f"no progress for {hours:g} hours on nodes that were lost; the last: {outcome.failure}"


def retries_alone(failure_kind: FailureKind, *, num_failures: int) -> bool:
    """Return whether a trial is retried outside of a fused group.

    It may be the one that takes all the memory, or that kills the worker. A first transient failure
    is more often the machine's, and hits all members alike.
    """
    return failure_kind == "out_of_memory" or num_failures >= RETRIES
