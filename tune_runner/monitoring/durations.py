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
    return max(0.0, remaining * mean - done) / min(concurrent, remaining)


def format_estimate(seconds: float) -> str:
    """Return an estimate in the unit that its accuracy deserves: about 40 s, about 70 min."""
    if seconds < 55:
        return f"about {max(10, 10 * round(seconds / 10))} s"
    minutes = seconds / 60
    if minutes < 9.5:
        return f"about {max(1, round(minutes))} min"
    if minutes < 117.5:
        return f"about {5 * round(minutes / 5)} min"
    hours = minutes / 60
    if hours < 9.75:
        return f"about {round(2 * hours) / 2:g} h"
    return f"about {round(hours)} h" if hours < 47.5 else f"about {round(hours / 24)} days"


def time_left_phrase(seconds: float) -> str:
    """Return an estimate of the time left, as the live view and `--status` write it."""
    return f"{format_estimate(seconds)} left"


def format_duration(seconds: float) -> str:
    """Return a duration as people write it: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
