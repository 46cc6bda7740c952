"""Durations: the estimate of the time left in a study, and how times are written."""

from collections.abc import Iterable, Sequence


def estimate_seconds_left(
    durations: Sequence[float], *, remaining: int, concurrent: int, running: Iterable[float] = ()
) -> float | None:
    """Estimate the time until a study is complete from the mean duration of its trials so far.

    Args:
        durations: seconds that each ended trial took, pruned ones included.
        remaining: trials that have not ended.
        concurrent: trials that run at a time.
        running: seconds since the start of each running trial; each counts as the mean at most.

    Returns:
        Seconds, or None if nothing remains or nothing is known.
    """
    if not durations or remaining <= 0 or concurrent < 1:
        return None
    mean = sum(durations) / len(durations)
    done = sum(min(mean, seconds) for seconds in running)
    return max(0.0, remaining * mean - done) / concurrent


def format_duration(seconds: float) -> str:
    """Return a duration as people write it: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
