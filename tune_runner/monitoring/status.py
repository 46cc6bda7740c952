"""State of a study, read from any terminal while it runs or afterwards; nothing is written."""

import fcntl
import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from diffrec.credentials import without_secrets
from search_spaces import Objective
from tune_runner.monitoring.answers import (
    FailureAnswer,
    ObjectiveAnswer,
    StatusAnswer,
    TrialAnswer,
)
from tune_runner.monitoring.durations import estimate_seconds_left, format_estimate
from tune_runner.schema import ERROR, NAME, RETRY_OF, ROLE
from tune_runner.search import storage
from tune_runner.study.description import FOR_STATUS, read_description
from tune_runner.study.folder import LOCK, StudyFolder

_SHOWN = 10
"""Failed trials that are listed for people at most."""


def read_status(folder: StudyFolder) -> StatusAnswer:
    """Return the study's state.

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
    finished = sum(t.state.is_finished() for t in trials)
    running = [t for t in trials if t.state is TrialState.RUNNING] if alive else []
    return StatusAnswer(
        study=settings["name"],
        space=space["name"],
        dataset=description["dataset"]["name"],
        state="running" if alive else "complete" if finished >= total else "stopped",
        num_trials=total,
        finished=finished,
        counts=_counts(trials, alive=alive),
        objective=ObjectiveAnswer(name=objective.name, direction=objective.direction),
        best=_best(trials, objective),
        running=[_answer(t) for t in running],
        failures=[
            FailureAnswer(number=t.number, name=_name(t), error=_error(t))
            for t in trials
            if t.state is TrialState.FAIL
        ],
        seconds_left=_seconds_left(folder, trials, total - finished, running) if alive else None,
        resume_command=None if alive or finished >= total else folder.resume_command,
    )


def status_text(answer: StatusAnswer) -> str:
    """Return the state for people."""
    counts, objective = answer.counts, answer.objective.name
    open_state = "running" if answer.state == "running" else "interrupted"
    lines = [
        f"study     {answer.study}: {answer.space} on {answer.dataset}",
        f"state     {answer.state}",
        f"trials    {answer.finished} of {answer.num_trials}: {counts['complete']} complete, "
        f"{counts[open_state]} {open_state}, {counts['pruned']} pruned, {counts['failed']} failed",
    ]
    if answer.best is not None:
        lines.append(f"best      {objective} {answer.best.value:.4f} ({answer.best.name})")
    for trial in answer.running:
        validated = trial.epoch is not None and trial.value is not None
        state = f"epoch {trial.epoch}, {trial.value:.4f}" if validated else "not validated yet"
        lines.append(f"running   {trial.name}, {state}")
    lines += [f"failed    {failed.name}: {failed.error}" for failed in answer.failures[:_SHOWN]]
    if len(answer.failures) > _SHOWN:
        lines.append(f"failed    {len(answer.failures) - _SHOWN} more")
    if answer.seconds_left is not None:
        lines.append(f"left      {format_estimate(answer.seconds_left)}")
    if answer.resume_command is not None:
        lines.append(f"resume    {answer.resume_command}")
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


def _counts(trials: Sequence[FrozenTrial], *, alive: bool) -> dict[str, int]:
    counts = Counter(t.state for t in trials)
    unfinished = counts[TrialState.RUNNING]
    return {
        "complete": counts[TrialState.COMPLETE],
        "running": unfinished if alive else 0,
        "interrupted": 0 if alive else unfinished,
        "pruned": counts[TrialState.PRUNED],
        "failed": counts[TrialState.FAIL],
    }


def _best(trials: Sequence[FrozenTrial], objective: Objective) -> TrialAnswer | None:
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    if not complete:
        return None
    return _answer(min(complete, key=lambda t: objective.sort_key(t.value or 0.0)))


def _answer(trial: FrozenTrial) -> TrialAnswer:
    epoch = trial.last_step
    value = trial.value
    if trial.state is TrialState.RUNNING:
        value = None if epoch is None else trial.intermediate_values[epoch]
    return TrialAnswer(number=trial.number, name=_name(trial), epoch=epoch, value=value)


def _error(trial: FrozenTrial) -> str:
    return without_secrets(str(trial.user_attrs.get(ERROR, "")))


def _seconds_left(
    folder: StudyFolder,
    trials: Sequence[FrozenTrial],
    remaining: int,
    running: Sequence[FrozenTrial],
) -> float | None:
    """Estimate the time left from what the driver at work has done, as its own view does.

    A trial that an earlier driver began and this one ended is counted from this one's start: the
    pause between them is no time that trials take.
    """
    begin = datetime.fromtimestamp((folder.path / LOCK).stat().st_mtime)  # local, as Optuna's
    return estimate_seconds_left(
        [
            (
                t.datetime_complete - _start(t.datetime_start, t.datetime_complete, begin)
            ).total_seconds()
            for t in trials
            if t.datetime_complete and t.datetime_start
        ],
        remaining=remaining,
        concurrent=len(running),
        running=[
            (datetime.now() - _start(t.datetime_start, datetime.now(), begin)).total_seconds()
            for t in running
            if t.datetime_start
        ],
    )


def _start(start: datetime, end: datetime, driver_start: datetime) -> datetime:
    return max(start, driver_start) if end > driver_start else start


def _name(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get(NAME, f"{trial.number:04d}"))
