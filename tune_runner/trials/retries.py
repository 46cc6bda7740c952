"""What becomes of a trial that did not get through: again, again with more room, or failed.

An accident (an exception, a killed worker, a lost node) may pass, so the trial goes on from its
checkpoint a set number of times. Memory that ran out will run out again, so what was trained with
others goes alone, and then the share grows, once. What would be the same another time (a loss that
is not finite, a refused configuration) is final. A full disk is nobody's fault: the study stops,
and the trial stays open.
"""

import errno

from tune_runner.events import FailureKind
from tune_runner.resources.allocation import TrialResources

RETRIES = 2
"""How often a trial goes on after an accident before it counts as failed."""

_MEMORY_PHRASES = (
    "outofmemory",
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "memory monitor",
    "cannot allocate memory",
)


def classify_failure(error: BaseException) -> FailureKind:
    """Tell what kind of misfortune an exception in a worker is."""
    if isinstance(error, MemoryError):
        return "out_of_memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    return classify_failure_message(f"{type(error).__name__}: {error}")


def classify_failure_message(error: str) -> FailureKind:
    """Tell it from what Ray reports of a worker that died."""
    said = error.lower()
    if any(phrase in said for phrase in _MEMORY_PHRASES):
        return "out_of_memory"
    return "disk_full" if "no space left on device" in said else "transient"


def resources_for_retry(
    failure_kind: FailureKind,
    *,
    num_failures: int,
    resources: TrialResources,
    initial: TrialResources,
    limit: TrialResources,
    was_fused: bool = False,
) -> TrialResources | None:
    """Return with what a trial is tried again, or None where it has failed for good.

    Args:
        failure_kind: why it ended.
        num_failures: how often it had an accident, this time included.
        resources: what it had this time.
        initial: what every trial of the study starts with.
        limit: the largest share that one node can give.
        was_fused: whether others shared it; alone the trial may have memory enough.
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
    """Return whether a trial is tried again without company.

    It may be the one that takes the memory, or that kills the worker, of all the others. A first
    accident is more often the machine's, of which all were the victims.
    """
    return failure_kind == "out_of_memory" or num_failures >= RETRIES
