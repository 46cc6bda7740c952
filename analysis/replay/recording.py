"""Recorded curves of a study as one table: parameters, seed, epoch and value."""

import csv
import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.study.model import Study
from diffrec.errors import UserError
from diffrec.files import read_regular
from search_spaces.definition import SpaceDefinition
from search_spaces.space import SearchSpace

ENDING = ".csv.gz"
_DIGITS = 5
_FEWEST = 10
"""Points below which nothing can be said about a search."""


@dataclass(frozen=True, slots=True)
class RecordedTrial:
    """Point with one seed, and its curve."""

    params: Mapping[str, Any]
    seed: int
    curve: Mapping[int, float]
    """Objective by validated epoch."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Complete trials of a study with their curves."""

    name: str
    dataset: str
    space: SearchSpace
    trials: tuple[RecordedTrial, ...]

    @property
    def points(self) -> list[list[RecordedTrial]]:
        """The trials of each point."""
        points: dict[str, list[RecordedTrial]] = {}
        for trial in self.trials:
            points.setdefault(repr(sorted(trial.params.items())), []).append(trial)
        return list(points.values())


def from_study(study: Study) -> Recording:
    """Return the recording of a study that was read with the curves of its objective.

    Raises:
        UserError: too few of its trials are complete, or its space was not recorded.
    """
    if not study.goals.is_plain:
        raise UserError(
            f"A replay needs a study with one objective and no constraint, but {study.name!r} has "
            f"{', '.join(study.goals.metrics)}; replay another one."
        )
    trials = tuple(
        RecordedTrial(trial.params, trial.seed or 0, trial.curves[study.objective])
        for trial in study.distinct_trials
        if trial.curves.get(study.objective)
    )
    fields = SpaceDefinition.__dataclass_fields__
    space = {key: value for key, value in study.space.items() if key in fields}
    recording = Recording(study.name, study.dataset, SearchSpace.from_dict(space), trials)
    _check(recording, f"Study {study.name!r}")
    return recording


def write_recording(recording: Recording, path: Path) -> None:
    """Write the table; its first line holds name, dataset and space as JSON, after `# `.

    Raises:
        UserError: the file's name does not end in .csv.gz, or it is there already.
    """
    if not path.name.endswith(ENDING):
        raise UserError(f"--export writes a file *{ENDING}, but got {str(path)!r}; rename it.")
    if path.exists():
        raise UserError(f"--export would replace {str(path)!r}; remove it, or give another name.")
    paths = list(recording.space.domains)
    head = {
        "name": recording.name,
        "dataset": recording.dataset,
        "space": recording.space.to_dict(),
    }
    text = io.StringIO()
    text.write(f"# {json.dumps(head)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*paths, "seed", "epoch", "value"])
    for trial in recording.trials:
        params = [json.dumps(trial.params[p]) if p in trial.params else "" for p in paths]
        for epoch, value in sorted(trial.curve.items()):
            writer.writerow([*params, trial.seed, epoch, f"{value:.{_DIGITS}f}"])
    try:
        # no time and no name inside: the same recording is the same file
        path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    except OSError as error:
        raise UserError(f"--export cannot write {str(path)!r} ({error.strerror}).") from None


def read_recording(path: Path) -> Recording:
    """Read what `write_recording` wrote.

    Raises:
        UserError: the file is no such table.
    """
    content = read_regular(path, "a recording of curves")
    try:
        first, _, table = gzip.decompress(content).decode().partition("\n")
        head = json.loads(first.removeprefix("# "))
        space = SearchSpace.from_dict(head["space"])
        curves: dict[tuple[str, ...], dict[int, float]] = {}
        for row in csv.DictReader(io.StringIO(table)):
            key = (*(row[path] for path in space.domains), row["seed"])
            curves.setdefault(key, {})[int(row["epoch"])] = float(row["value"])
        trials = []
        for (*texts, seed), curve in curves.items():
            pairs = zip(space.domains, texts, strict=True)
            params = {path: json.loads(text) for path, text in pairs if text}
            trials.append(RecordedTrial(params, int(seed), curve))
        recording = Recording(str(head["name"]), str(head["dataset"]), space, tuple(trials))
    except (OSError, EOFError, ValueError, KeyError, TypeError, UserError) as error:
        raise UserError(
            f"{str(path)!r} is no recording of curves ({type(error).__name__}: {error}); write one "
            "with `python -m analysis replay STUDY --export FILE`."
        ) from None
    _check(recording, repr(str(path)))
    return recording


def _check(recording: Recording, what: str) -> None:
    if len(recording.points) < _FEWEST:
        raise UserError(
            f"A replay needs {_FEWEST} complete points or more, but {what} has "
            f"{len(recording.points)}; record more trials, unpruned."
        )
