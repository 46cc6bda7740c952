"""Search spaces by name, or from a user's Python file."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffrec.errors import UserError, did_you_mean
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
    """Return the shipped space of this name, or the `SPACE` of a Python file.

    With `+baselines` appended to either, every baseline is added as a cell.

    Raises:
        UserError: there is no such space or file, or the file cannot be used.
    """
    if name_or_path.endswith(SUFFIX):
        return beside_baselines(get_space(name_or_path.removesuffix(SUFFIX)))
    if name_or_path.endswith(".py"):
        return _read_file(Path(name_or_path))
    if name_or_path not in SPACES:
        raise UserError(
            f"No search space named {name_or_path!r}{did_you_mean(name_or_path, SPACES)}; "
            f"known: {', '.join(sorted(SPACES))}, or a path to a .py file."
        )
    return SPACES[name_or_path]


def _read_file(path: Path) -> SearchSpace:
    if not path.is_file():
        raise UserError(f"No space file at {str(path)!r}; give the path of a .py file.")
    spec = importlib.util.spec_from_file_location(f"user_space_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{str(path)!r} is not a Python file; give the path of a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    try:
        with _imports_from(path.resolve().parent):
            spec.loader.exec_module(module)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's own code may raise anything
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise UserError(f"Space file {str(path)!r} cannot be run ({reason}); correct it.") from None
    space = getattr(module, "SPACE", None)
    if not isinstance(space, SearchSpace):
        raise UserError(
            f"Space file {str(path)!r} must define SPACE = SearchSpace(...), but has "
            f"{'none' if space is None else f'a {type(space).__name__}'}."
        )
    return space


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Allow a file to import the modules beside it, like a script, without writing bytecode."""
    previous = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = previous
        sys.path.remove(str(folder))
