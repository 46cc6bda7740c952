"""Lookup of datasets by name: known names, and the folders that are searched."""

import os
from pathlib import Path
from typing import get_args

from diffrec.data.assembly import assemble
from diffrec.data.interactions import Dataset, Protocol
from diffrec.data.released import holds_dataset, read_released
from diffrec.data.synthetic import SyntheticConfig, generate
from diffrec.errors import UserError, did_you_mean

EMBEDDED_NAME = "embedded"
RELEASED_NAMES = (
    "ml-1m_clean",
    "ml-1m_noisy",
    "yelp_clean",
    "yelp_noisy",
    "amazon-book_clean",
    "amazon-book_noisy",
)
"""The datasets of the DiffRec release. Any other folder of the same format loads as well."""

DATA_DIR_VARIABLE = "DIFFREC_DATA"
DEFAULT_DIRS = (Path("data"), Path("datasets"), Path("../shared/datasets"))


def load_dataset(
    name: str, data_dir: Path | None = None, protocol: Protocol = "published"
) -> Dataset:
    """Return the dataset `name`, complete with item embeddings, fingerprint and notes.

    Args:
        name: `embedded`, which is generated and needs no folder, or the name of a folder.
        data_dir: Parent of the folder, or the folder itself. If left out, the environment variable
            DIFFREC_DATA; without that `./data`, `./datasets` and `../shared/datasets`.
        protocol: `published` takes the lists as they are; `chronological` exchanges the valid and
            test lists, which the public release has in the wrong order of time. The embedded
            dataset is in time order already, and the same under both.
    """
    if protocol not in get_args(Protocol):
        raise UserError(
            f"The protocol must be published or chronological, but got {protocol!r}"
            f"{did_you_mean(protocol, get_args(Protocol))}."
        )
    if name == EMBEDDED_NAME:
        return generate(SyntheticConfig(), name=name, protocol=protocol)
    released = read_released(find_folder(name, data_dir))
    return assemble(
        name,
        released.train,
        released.valid,
        released.test,
        released.item_embeddings,
        protocol=protocol,
    )


def find_folder(name: str, data_dir: Path | None = None) -> Path:
    """Return the folder of the dataset `name`; see `load_dataset` for the folders searched."""
    if name in ("", "..") or Path(name).name != name:
        raise UserError(
            f"A dataset's name must be the plain name of a folder, but got {name!r}; "
            "give its parent as the data directory."
        )
    requested = _requested_dir(data_dir)
    search_dirs = DEFAULT_DIRS if requested is None else (requested,)
    for parent in search_dirs:
        if (parent / name).is_dir():  # if files are missing in it, the reader says which
            return parent / name
    if requested is not None and holds_dataset(requested):
        _refuse_other_name(name, requested)
        return requested
    source = "--data-dir" if data_dir is not None else DATA_DIR_VARIABLE
    raise UserError(_not_found(name, requested, search_dirs, source))


def available_datasets(data_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names that `load_dataset` finds now, the embedded one first."""
    requested = _requested_dir(data_dir)
    search_dirs = DEFAULT_DIRS if requested is None else (requested,)
    names = {
        folder.name
        for parent in search_dirs
        if parent.is_dir()
        for folder in parent.iterdir()
        if holds_dataset(folder)
    }
    return (EMBEDDED_NAME, *sorted(names - {EMBEDDED_NAME}))


def _requested_dir(data_dir: Path | None) -> Path | None:
    """Return the directory the user named, by argument or environment, if any."""
    if data_dir is None and os.environ.get(DATA_DIR_VARIABLE):
        data_dir = Path(os.environ[DATA_DIR_VARIABLE])
    return None if data_dir is None else Path(data_dir).expanduser()


def _refuse_other_name(name: str, folder: Path) -> None:
    """Refuse to take ml-1m_clean's folder for ml-1m_noisy: results would have the wrong name."""
    folder_name = folder.resolve().name
    if folder_name != name and folder_name in RELEASED_NAMES:
        raise UserError(
            f"Dataset {name!r} was requested, but {folder} holds {folder_name!r}; name that one, "
            "or give another data directory."
        )


def _not_found(
    name: str, requested: Path | None, search_dirs: tuple[Path, ...], source: str
) -> str:
    """Return the error message for a dataset that is in none of `search_dirs`.

    Args:
        name: of the dataset.
        requested: the folder that the user named, if any.
        search_dirs: the folders that were searched.
        source: how the user named it, a flag or a variable.
    """
    if requested is not None and not requested.is_dir():
        return f"{source} must be a folder, but {requested} is not; check the path."
    searched = ", ".join(map(str, search_dirs))
    if name in RELEASED_NAMES:
        return (
            f"Dataset {name!r} was not found in {searched}; put its folder there, or say where it "
            f"is with the data directory or the environment variable {DATA_DIR_VARIABLE}."
        )
    available = available_datasets(requested)
    hint = did_you_mean(name, dict.fromkeys((*available, *RELEASED_NAMES)))
    if Path(name).is_dir():
        hint += f"; the folder here is given as ./{name}"
    return f"Dataset {name!r} was not found in {searched}; known are {', '.join(available)}{hint}."
