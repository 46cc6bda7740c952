"""Output files: checked before the work that fills them, written whole or not at all."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from diffrec.errors import UserError

NAME_BYTES = 255
"""Longest name of a file or folder that common file systems take."""

_PROBE_BYTES = 4096
"""Bytes of the write test; a full disk still creates empty files."""

Writer = Callable[[IO[bytes]], None]


def check_output_folder(path: Path, option: str) -> None:
    """Refuse a folder that cannot be made or written; nothing is left behind.

    Args:
        path: the folder to be.
        option: how the user named it, for the message: `--out`.

    Raises:
        UserError: a part of it is a file, a loop or too long, or its disk is full or read-only.
    """
    if _status(path, option) is not None and not path.is_dir():
        raise UserError(
            f"{option} must be a folder, but {path} is a file and cannot be written to; choose "
            f"another{_flag(option)}."
        )
    _check_room(path, option)


def check_output_file(path: Path, option: str) -> None:
    """Refuse a file that cannot be written; nothing is left behind.

    Args:
        path: the file to be.
        option: how the user named it, for the message: `--out`.

    Raises:
        UserError: it is a folder, a pipe or a device, its name is too long, or its folder cannot be
            made or written.
    """
    if _status(path, option) is not None and not path.is_file():
        kind = "folder" if path.is_dir() else "pipe or device"
        raise UserError(
            f"{option} must be a file, but {path} is a {kind}; choose another{_flag(option)}."
        )
    _check_room(path.parent, option)


def read_regular(path: Path, description: str) -> bytes:
    """Return a file's bytes.

    Args:
        path: the file.
        description: expected content, for the message: `a configuration in JSON`.

    Raises:
        UserError: there is none, it is a folder, a pipe or a device, or it cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for
        problem = "it is not a regular file" if path.exists() else "there is none"
        raise UserError(f"{path} must be {description}, but {problem}; check the path.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} must be {description}, but cannot be read ({error.strerror}); check its "
            "permissions."
        ) from None


def read_json(path: Path, description: str) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Args:
        path: the file.
        description: expected content, for the message: `a configuration in JSON`.

    Raises:
        UserError: it cannot be read, is not JSON, or is not a JSON object.
    """
    try:
        text = read_regular(path, description).decode("utf-8-sig")
        values = json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:  # RecursionError: a million brackets
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} must be {description}, but it is not JSON ({reason}); give another file."
        ) from None
    if not isinstance(values, dict):
        raise UserError(
            f"{path} must be {description}, a JSON object, but holds a {type(values).__name__}; "
            "give another file."
        )
    return values


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; one with a key that comes twice says two things."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice!r} comes twice")
    return values


def atomic_write(path: Path, content: bytes | str | Writer, *, durable: bool = False) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, whole.

    Its mode follows the umask.

    Args:
        path: the file; its folder must exist.
        content: bytes, text (UTF-8), or a function that writes to an open binary file.
        durable: flush to disk, so that a power cut loses nothing either.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    new = path.with_name(f".{secrets.token_hex(8)}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with naming_full_disk(path), os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Raise the error of a full disk as an OSError that says so and names `path`.

    NumPy, PyTorch and others raise what does not tell why a write failed.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not (is_full_disk(error) or _takes_nothing(path)):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


@contextmanager
def refusing_full_disk(path: Path) -> Iterator[None]:
    """Raise a UserError that names `path` where the block finds the disk full."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise UserError(f"{full_disk(path)}.") from None


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error is that of a full disk, or of a spent quota."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def full_disk(path: object) -> str:
    """Return the sentence for a full disk, without its full stop."""
    return f"The disk of {path} is full; free some space and give the command again"


def _takes_nothing(path: Path) -> bool:
    try:
        _check_room(path.parent, "")
    except UserError as refusal:
        return refusal.args[0].startswith("The disk of")
    return False


@contextmanager
def filled_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; what it holds moves to `path` once all is written.

    Files of other names that `path` holds stay; a folder in it is replaced. After an error nothing
    is left behind.
    """
    path = path.resolve()  # a link may lead to another disk, to which nothing can be moved
    created = _create(path.parent)
    new = path.parent / f".{secrets.token_hex(8)}.new"
    try:
        with naming_full_disk(path):
            new.mkdir()
            yield new
            created += _create(path)
            for file in sorted(new.iterdir()):
                if file.is_dir() and (path / file.name).is_dir():
                    shutil.rmtree(path / file.name)
                file.replace(path / file.name)
        created.clear()
    finally:
        shutil.rmtree(new, ignore_errors=True)
        _remove_empty(created)


@contextmanager
def existing(folder: Path) -> Iterator[None]:
    """Create a folder for the context; if it is still empty afterwards, it is removed."""
    created = _create(folder)
    try:
        yield
    finally:
        _remove_empty(created)


def _remove_empty(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def _create(folder: Path) -> list[Path]:
    """Make a folder with its parents; return those that were missing, outermost first."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _status(path: Path, option: str) -> os.stat_result | None:
    """Return the status of `path`, or None if nothing is there; refuse impossible paths."""
    long = next((part for part in path.parts if len(os.fsencode(part)) > NAME_BYTES), None)
    if long is not None:
        raise UserError(
            f"{option} must have names of at most {NAME_BYTES} bytes, but {long[:20]!r}... has "
            f"{len(os.fsencode(long))}; choose a shorter one."
        )
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError(
                f"{option} must be a path that can be written, but {path} is a link to nothing; "
                "choose another."
            ) from None
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte
        raise _refusal(option, path, error) from None


def _check_room(folder: Path, option: str) -> None:
    """Write and remove a small file in `folder`, or in the nearest of its parents that exists."""
    nearest = folder
    while _status(nearest, option) is None and nearest != nearest.parent:
        nearest = nearest.parent
    probe = nearest / f".{secrets.token_hex(8)}.new"
    try:
        with probe.open("xb", buffering=0) as file:
            written = file.write(bytes(_PROBE_BYTES))
            if written != _PROBE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise _refusal(option, nearest, error) from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _refusal(option: str, path: Path, error: Exception) -> UserError:
    if is_full_disk(error):
        return UserError(f"{full_disk(path)}, or choose another{_flag(option)}.")
    reason = getattr(error, "strerror", None) or str(error)
    return UserError(
        f"{option} must be writable, but {path} cannot be written ({reason}); choose another"
        f"{_flag(option)}."
    )


def _flag(option: str) -> str:
    return f" {option}" if option.startswith("-") else ""
