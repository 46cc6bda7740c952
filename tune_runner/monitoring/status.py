"""State of a study, read from any terminal while it runs or afterwards; nothing is written."""

import fcntl
import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from search_spaces import Objective
from tune_runner.monitoring.durations import estimate_seconds_left, format_duration
from tune_runner.schema import NAME, RETRY_OF, ROLE
from tune_runner.search import storage
from tune_runner.study.description import FOR_STATUS, read_description
from tune_runner.study.folder import LOCK, StudyFolder


def status(folder: StudyFolder) -> str:
    """Return the study's state as lines to print.

    Raises:
        UserError: there is no such study, or its database does not answer.
    """
    description = read_description(folder, FOR_STATUS)
    settings, plan, space = description["settings"], description["plan"], description["space"]
    objective = Objective(space["objective"]["name"], space["objective"]["direction"])
    trials = storage.read_trials(settings.get("storage") or folder.storage_url, settings["name"])
    extra_trials = sum(RETRY_OF in t.user_attrs or ROLE in t.user_attrs for t in trials)
    total = plan["trials"] + extra_trials
    alive = has_live_driver(folder)
    lines = [
        f"study     {settings['name']}: {space['name']} on {description['dataset']['name']}",
        f"state     {_state(trials, total, alive=alive)}",
        f"trials    {_counts(trials, total, alive=alive)}",
        *_best(trials, objective),
    ]
    running = [t for t in trials if t.state is TrialState.RUNNING]
    lines += [f"running   {_progress(t)}" for t in running] if alive else []
    if alive and (seconds_left := _seconds_left(trials, total, len(running))) is not None:
        lines.append(f"left      about {format_duration(seconds_left)}")
    if not alive and _ended(trials) < total:
        lines.append(f"resume    {folder.resume_command}")
    return "\n".join(lines)


def has_live_driver(folder: StudyFolder) -> bool:
    """Return whether a driver runs the study: it holds the lock as long as it lives."""
    path = folder.path / LOCK
    if not path.exists():
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _ended(trials: Sequence[FrozenTrial]) -> int:
    return sum(t.state.is_finished() for t in trials)


def _state(trials: Sequence[FrozenTrial], total: int, *, alive: bool) -> str:
    if alive:
        return "running"
    return "complete" if _ended(trials) >= total else "stopped"


def _counts(trials: Sequence[FrozenTrial], total: int, *, alive: bool) -> str:
    counts = Counter(t.state for t in trials)
    parts = [
        f"{counts[TrialState.COMPLETE]} complete",
        f"{counts[TrialState.RUNNING]} {'running' if alive else 'interrupted'}",
        f"{counts[TrialState.PRUNED]} pruned",
        f"{counts[TrialState.FAIL]} failed",
    ]
    return f"{_ended(trials)} of {total}: {', '.join(parts)}"


def _best(trials: Sequence[FrozenTrial], objective: Objective) -> list[str]:
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    if not complete:
        return []
    best = min(complete, key=lambda t: objective.sort_key(t.value or 0.0))
    return [f"best      {objective.name} {best.value:.4f} ({_name(best)})"]


def _progress(trial: FrozenTrial) -> str:
    step = trial.last_step
    if step is None:
        return f"{_name(trial)}, not validated yet"
    return f"{_name(trial)}, epoch {step}, {trial.intermediate_values[step]:.4f}"


def _seconds_left(trials: Sequence[FrozenTrial], total: int, concurrent: int) -> float | None:
    starts = [t.datetime_start for t in trials if t.state is TrialState.RUNNING]
    return estimate_seconds_left(
        [t.duration.total_seconds() for t in trials if t.state.is_finished() and t.duration],
        remaining=total - _ended(trials),
        concurrent=concurrent,
        running=[(datetime.now() - start).total_seconds() for start in starts if start],
    )


def _name(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(NAME, f"{trial.number:04d}"))
