"""State of a study, read from any terminal while it runs or afterwards; nothing is written."""

import fcntl
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from diffrec.credentials import without_secrets
from search_spaces.leading import leader
from search_spaces.objectives import Goals
from tune_runner.monitoring.answers import (
    FailureAnswer,
    FrontAnswer,
    StatusAnswer,
    TrialAnswer,
)
from tune_runner.monitoring.durations import estimate_seconds_left, format_estimate
from tune_runner.monitoring.messages import objective_answers
from tune_runner.schema import ERROR, LAST_REPORT, NAME, RETRY_OF, ROLE
from tune_runner.search import front, storage
from tune_runner.search.replicates import racing_points
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
    goals = Goals.of_space(space)
    objectives = objective_answers(goals)
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
        objective=objectives[0],
        objectives=objectives,
        constraint=space.get("constraint"),
        best=_best(trials, goals, is_sampled=plan["sampler"] != "grid"),
        front=[] if goals.is_plain else _front(trials, goals),
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
    if answer.constraint is not None:
        lines.append(f"within    {answer.constraint}")
    lines += [f"front     {point.name}, {_named(point.values)}" for point in answer.front[:_SHOWN]]
    if len(answer.front) > _SHOWN:
        lines.append(f"front     {len(answer.front) - _SHOWN} more")
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


def _named(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())


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


def _best(trials: Sequence[FrozenTrial], goals: Goals, *, is_sampled: bool) -> TrialAnswer | None:
    """Return the newest trial of the leading point, with the point's mean."""
    if not goals.is_plain:
        found = front.answer(trials, goals)
        return _answer(found[0].trials[0]) if found else None
    points = racing_points(trials)
    values = {number: point.values for number, point in enumerate(points)}
    first = leader(values, goals.objectives[0].sort_key, is_sampled=is_sampled)
    if first is None:
        return None
    return replace(_answer(points[first].newest), value=points[first].mean)


def _front(trials: Sequence[FrozenTrial], goals: Goals) -> list[FrontAnswer]:
    return [
        FrontAnswer(number=point.number, name=_name(point.trials[0]), values=point.named(goals))
        for point in front.answer(trials, goals)
    ]


def _answer(trial: FrozenTrial) -> TrialAnswer:
    reported = dict([trial.user_attrs[LAST_REPORT]] if LAST_REPORT in trial.user_attrs else [])
    values = trial.intermediate_values or reported
    epoch = max(values, default=None)
    value = (trial.values or [None])[0]
    if trial.state is TrialState.RUNNING:
        value = None if epoch is None else values[epoch]
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
