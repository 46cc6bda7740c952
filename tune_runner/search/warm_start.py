"""Starts a search from the best points of earlier studies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffrec.errors import UserError
from search_spaces.leading import by_mean
from search_spaces.space import SearchSpace
from tune_runner.search import storage
from tune_runner.search.coordinates import coordinate, value_of
from tune_runner.search.replicates import racing_points
from tune_runner.study.description import FOR_STATUS, read_description
from tune_runner.study.folder import StudyFolder

POINTS = 5
"""Points taken of each study."""


def earlier_points(runs_dir: str, names: str, space: SearchSpace) -> list[dict[str, Any]]:
    """Return the points of earlier studies that a space has, the best of each study first.

    Args:
        runs_dir: folder of the studies.
        names: of the studies, separated by commas.
        space: of the new study; points outside it are left out.

    Returns:
        Coordinates as Optuna keeps them, `POINTS` of each study at most, each once.

    Raises:
        UserError: there is no such study, it has another objective, or none of its points fits.
    """
    found: list[dict[str, Any]] = []
    for name in names.split(","):
        folder = StudyFolder(Path(runs_dir), name)
        description = read_description(folder, FOR_STATUS)
        objective = description["space"]["objective"]["name"]
        if objective != space.objective.name:
            raise UserError(
                f"--start-from {name}: its trials were selected by {objective}, the new ones are "
                f"by {space.objective.name}; start from a study with the same objective."
            )
        url = description["settings"].get("storage") or folder.storage_url
        points = racing_points(storage.read_trials(url, description["settings"]["name"]))
        values = {number: point.values for number, point in enumerate(points)}
        best = (
            points[number].trials[0].params for number in by_mean(values, space.objective.sort_key)
        )
        fitting = [point for point in (_fitting(space, p) for p in best) if point]
        if not fitting:
            raise UserError(
                f"--start-from {name}: none of its complete points lies in space {space.name!r}; "
                "start from a study of the same parameters."
            )
        found += [point for point in fitting[:POINTS] if point not in found]
    return found


def _fitting(space: SearchSpace, stored: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the coordinates that the space has of a point; None if it is outside."""
    taken: dict[str, Any] = {}

    def take(path: str, domain: Any) -> Any:
        name = coordinate(space, path)
        value = value_of(domain, stored[name])
        if value not in domain:
            raise ValueError(name)
        taken[name] = stored[name]
        return value

    try:
        space.build_point(take)
    except (KeyError, ValueError):  # a parameter, or a value, that only one of them has
        return None
    return taken
