"""Files of a source: one, the parts of a table, or lists that are split already."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from diffrec.errors import UserError

_PART_WORDS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing"),
}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def find_files(path: Path) -> list[tuple[str | None, list[Path]]]:
    """Return (train, valid, test or None, files that are one table) for a file or a folder.

    Raises:
        UserError: there is nothing at `path`, or it is unclear which files of a folder to read.
    """
    if path.is_file():
        return [(None, [path])]
    if not path.is_dir():
        if path.exists():
            raise UserError(f"{path} must be a file or a folder, but is neither.")
        raise UserError(f"No file of ratings at {path}; check the path.")
    if (path / "train_list.npy").is_file():
        raise UserError(
            f"{path} is a prepared dataset already; look at it with python -m diffrec check."
        )
    files = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(_is_hidden(name) for name in file.relative_to(path).parts)
    ]
    if not files:
        raise UserError(f"{path} must hold files of ratings, but the folder holds none.")
    if split := _split_files(path, files):
        return split
    if all(_is_parquet(file) for file in files):
        return [(None, files)]
    parts = [file for file in files if file.name.startswith("part")]
    if parts == files:
        return [(None, [file]) for file in files]
    if len(files) == 1:
        return [(None, files)]
    raise UserError(
        f"{path} is a folder of {len(files)} files ({', '.join(f.name for f in files[:5])}); name "
        "the file of ratings, or a folder of parts (part-*) or of train, valid and test files."
    )


def partition_keys(folder: Path, file: Path) -> dict[str, str | None]:
    """Return the columns that the names of a file's folders hold, as Hive and Spark write them.

    `events/day=2024-01-31/part-0.parquet` has the column `day`; its value is text, None where the
    folder says that there is none.

    Args:
        folder: of the source.
        file: one of its files.
    """
    found: dict[str, str | None] = {}
    for name in file.relative_to(folder).parts[:-1]:
        key, sign, value = name.partition("=")
        if sign and key:
            found[unquote(key)] = None if value == _NO_VALUE else unquote(value)
    return found


def _split_files(path: Path, files: Sequence[Path]) -> list[tuple[str | None, list[Path]]]:
    """Return the train, valid and test files, if there are a train and a test file."""
    files_by_part: dict[str, list[Path]] = {part: [] for part in _PART_WORDS}
    for file in files:
        words = re.split(r"[._\- ]+", file.name.lower())
        for part, names in _PART_WORDS.items():
            if any(word in names for word in words):
                files_by_part[part].append(file)
                break
    if not files_by_part["train"] or not files_by_part["test"]:
        return []
    for part, part_files in files_by_part.items():
        if len(part_files) > 1:
            raise UserError(
                f"{path} must have one {part} file, but has "
                f"{', '.join(f.name for f in part_files)}; leave one there."
            )
    return [(part, part_files) for part, part_files in files_by_part.items() if part_files]


def _is_hidden(name: str) -> bool:
    """Return whether Hive and Spark would pass over a file or folder of this name."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"PAR1"
