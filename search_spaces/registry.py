"""Search spaces by name, or from a user's Python, JSON or YAML file."""

from pathlib import Path

from diffrec.errors import UserError, did_you_mean
from diffrec.user_code import load_file
from search_spaces.catalog import (
    baselines,
    clustering_ablation,
    diffusion_steps,
    forecasting,
    forecasting_bridge,
    forecasting_search,
    joint,
    learned_steps,
    noise_schedule,
    patience,
    recency,
    reproduction,
    smoke,
    temporal_weighting,
)
from search_spaces.reading import ENDINGS, read_space_file
from search_spaces.space import SearchSpace
from search_spaces.with_baselines import SUFFIX, beside_baselines

_MODULES = (
    clustering_ablation,
    noise_schedule,
    diffusion_steps,
    temporal_weighting,
    learned_steps,
    patience,
    recency,
    forecasting,
    forecasting_bridge,
    forecasting_search,
    reproduction,
    baselines,
    joint,
    smoke,
)
SPACES: dict[str, SearchSpace] = {module.SPACE.name: module.SPACE for module in _MODULES}


def get_space(name_or_path: str) -> SearchSpace:
    """Return the shipped space of this name, a Python file's `SPACE`, or a JSON or YAML file's.

    With `+baselines` appended to either, every baseline is added as a cell.

    Raises:
        UserError: there is no such space or file, or the file cannot be used.
    """
    if name_or_path.endswith(SUFFIX):
        return beside_baselines(get_space(name_or_path.removesuffix(SUFFIX)))
    if name_or_path.endswith(".py"):
        return _read_file(Path(name_or_path))
    if name_or_path.endswith(ENDINGS):
        return _read_data(Path(name_or_path))
    if name_or_path not in SPACES:
        raise UserError(
            f"No search space named {name_or_path!r}{did_you_mean(name_or_path, SPACES)}; "
            f"known: {', '.join(sorted(SPACES))}, or a path to a .py, .json or .yaml file."
        )
    return SPACES[name_or_path]


def _read_data(path: Path) -> SearchSpace:
    values = read_space_file(path)
    try:
        return SearchSpace.from_dict(values)
    except UserError as error:
        raise UserError(f"Space file {str(path)!r} is refused: {error}") from None


def _read_file(path: Path) -> SearchSpace:
    space = getattr(load_file(path), "SPACE", None)
    if not isinstance(space, SearchSpace):
        raise UserError(
            f"Space file {str(path)!r} must define SPACE = SearchSpace(...), but has "
            f"{'none' if space is None else f'a {type(space).__name__}'}."
        )
    return space
