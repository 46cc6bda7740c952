"""Retry policy of failed trials; ours, since Ray's FailureConfig only counts failures.

`FailureConfig` cannot give a retry more memory, split a fused group, or stop the study when the
disk is full (tests/tune_runner/test_faults.py).

A transient failure (an exception, a killed worker, a lost node) may not occur again, so the trial
is resumed from its checkpoint, a limited number of times. Memory that ran out would run out again:
a fused trial is retried alone, then once with more resources. A permanent failure (a loss that is
not finite, an invalid configuration) would be the same again. A full disk is not the trial's fault:
the study stops, and the trial stays open.
"""

import errno

from tune_runner.events import FailureKind
from tune_runner.resources.allocation import TrialResources

RETRIES = 2
"""Retries after transient failures before a trial counts as failed."""

_MEMORY_PHRASES = (
    "outofmemory",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "memory monitor",
    "cannot allocate memory",
)


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
    if failure_kind == "transient":
        return resources if num_failures <= RETRIES else None
    if failure_kind == "out_of_memory" and was_fused:
        return resources
    if failure_kind == "out_of_memory" and resources == initial:
        larger = resources.doubled(limit)
        return larger if larger != resources else None
    return None


def retries_alone(failure_kind: FailureKind, *, num_failures: int) -> bool:
    """Return whether a trial is retried outside of a fused group.

    It may be the one that takes all the memory, or that kills the worker. A first transient failure
    is more often the machine's, and hits all members alike.
    """
    return failure_kind == "out_of_memory" or num_failures >= RETRIES
