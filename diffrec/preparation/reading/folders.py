"""Files of a source: one, the parts of a table, or lists that are split already."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from diffrec.errors import UserError

_PART_WORDS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing"),
}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Files of a source."""

    groups: list[tuple[str | None, list[Path]]]
    """(train, valid, test or None, files that are one table)."""

    notes: tuple[str, ...] = ()


def find_files(path: Path) -> SourceFiles:
    """Return the files of a source: itself, or those in a folder.

    Raises:
        UserError: there is nothing at `path`, or it is unclear which files of a folder to read.
    """
    if path.is_file():
        _require_utf8_name(path)
        return SourceFiles([(None, [path])])
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
    for file in files:
        _require_utf8_name(file)
    if len(files) == 1:
        return SourceFiles([(None, files)])
    if split := _split_files(path, files):
        used = {file for _, group in split for file in group}
        others = [str(file.relative_to(path)) for file in files if file not in used]
        return SourceFiles(split, (f"not read: {', '.join(others)[:300]}",) if others else ())
    if all(_is_parquet(file) for file in files):
        return SourceFiles([(None, files)])
    if all(file.name.startswith("part") for file in files):
        filled = [file for file in files if file.stat().st_size] or files[:1]
        empty = len(files) - len(filled)
        return SourceFiles(
            [(None, [file]) for file in filled], (f"{empty} parts are empty",) if empty else ()
        )
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
    """Return the train, valid and test files; none if the source is not split.

    Raises:
        UserError: train or test is missing, or it is unclear which file is meant.
    """
    files_by_part: dict[str, list[Path]] = {part: [] for part in _PART_WORDS}
    for file in files:
        if (part := _part_of(file.relative_to(path))) is not None:
            files_by_part[part].append(file)
    present = [part for part, part_files in files_by_part.items() if part_files]
    if len(present) < 2:
        return []
    for part in ("train", "test"):
        if part not in present:
            raise UserError(
                f"{path} has {' and '.join(present)} files, but no {part} file; add it, or name "
                "one file of all rows."
            )
    groups: list[tuple[str | None, list[Path]]] = []
    for part in present:
        part_files = files_by_part[part]
        if len(part_files) > 1:
            _require_parts(path, part, part_files)
        is_one_table = all(_is_parquet(file) for file in part_files)
        groups += [(part, g) for g in ([part_files] if is_one_table else [[f] for f in part_files])]
    return groups


def _part_of(file: Path) -> str | None:
    """Return the part that a file's name tells, or that of the nearest folder."""
    for name in reversed(file.parts):
        words = re.split(r"[._\- ]+", name.rpartition("=")[2].lower())
        for part, names in _PART_WORDS.items():
            if any(word in names for word in words):
                return part
    return None


def _require_parts(path: Path, part: str, files: Sequence[Path]) -> None:
    """Refuse several files of a list unless their names say that they are parts of one."""
    shards = [re.search(r"(\d+)-of-(\d+)", file.name) for file in files]
    numbers = {(shard.group(2), int(shard.group(1))) for shard in shards if shard}
    if all(shards) and len({total for total, _ in numbers}) == 1:
        total = int(next(iter(numbers))[0])
        if len(numbers) == len(files) == total:
            return
        raise UserError(f"{path} must have all {total} parts of {part}, but has {len(files)}.")
    is_in_folder = all(
        _part_of(Path(file.parent.name)) == part and file.parent == files[0].parent
        for file in files
        if file.parent != path
    ) and all(file.parent != path for file in files)
    if is_in_folder or all(file.name.startswith("part") for file in files):
        return
    raise UserError(
        f"{path} must have one {part} file, but has "
        f"{', '.join(str(f.relative_to(path)) for f in files)}; leave one there."
    )


def _require_utf8_name(file: Path) -> None:
    try:
        str(file.absolute()).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"The name of a file must be text in UTF-8, but is {str(file)!r}; rename it."
        ) from error


def _is_hidden(name: str) -> bool:
    """Return whether Hive and Spark would pass over a file or folder of this name."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) == b"PAR1"
