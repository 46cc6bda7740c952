"""Where trials keep their checkpoints: a folder that all nodes see, or an object store.

A worker that was given up but lives (its driver was killed a second ago, its node cannot be
reached) must not write over its successor's checkpoint, so each writes under a claim, and the last
claim counts. A trial that has ended has no claim left.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Protocol

from diffrec.errors import UserError
from tune_runner.checkpoints.locations import _TRIAL, STATE, is_url, join_location, trial_location

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

logger = logging.getLogger(__name__)

_PREVIOUS, _CLAIM = "state.previous.pt", "claim"
_NEW = "state.{claim}.new"

_CHUNK = 2**24

Dump = Callable[[IO[bytes]], None]


class ClaimLostError(RuntimeError):
    """Another worker goes on with the trial."""


class CheckpointStore(Protocol):
    """Where one trial's checkpoint lies."""

    def claim(self) -> str:
        """Become the one worker that may save here; return what `save` is to be given."""
        ...

    def check(self, claimed: str) -> None:
        """Make sure that the claim still counts.

        Raises:
            ClaimLostError: another worker has claimed the place since, or the trial has ended.
        """
        ...

    def save(self, dump: Dump, claimed: str) -> None:
        """Write what `dump` writes so that a crash at any moment leaves a complete checkpoint.

        Raises:
            ClaimLostError: another worker has claimed the place since, or the trial has ended.
        """
        ...

    def states(self) -> Iterator[Path]:
        """Yield files of what was saved, newest first; each may go when the next is asked for."""
        ...


def open_store(location: str) -> CheckpointStore:
    """Return the place of one trial.

    Raises:
        UserError: there is no such kind of store.
    """
    return _ObjectStore(location) if is_url(location) else _FolderStore(Path(location))


def remove_trials(base: str, numbers: set[int]) -> None:
    """Remove the checkpoints of these trials, where there are any."""
    if not is_url(base):
        for number in numbers:
            shutil.rmtree(trial_location(base, number), ignore_errors=True)
        return
    try:
        files, _ = open_filesystem(base)
        for number in numbers & list_trials(base):
            files.delete_dir(open_filesystem(trial_location(base, number))[1])
    except OSError as error:  # it costs room, no result; the next --resume tries again
        logger.warning("Old checkpoints in %s could not be removed (%s).", base, error)


def list_trials(base: str) -> set[int]:
    """Return the trials that have something in an object store.

    Raises:
        OSError: the store does not answer.
    """
    from pyarrow.fs import FileSelector

    files, path = open_filesystem(base)
    found = files.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    prefix = _TRIAL.split("{", maxsplit=1)[0]
    parts = {Path(info.path).relative_to(path).parts[0] for info in found}
    return {int(part.removeprefix(prefix)) for part in parts if part.startswith(prefix)}


def download(base: str, number: int, folder: Path) -> Path | None:
    """Copy a trial's checkpoint from an object store into `folder`; None where there is none.

    Raises:
        OSError: the store does not answer, or the folder cannot be written.
    """
    from pyarrow.fs import FileType

    files, path = open_filesystem(join_location(trial_location(base, number), STATE))
    if files.get_file_info(path).type == FileType.NotFound:
        return None
    target = Path(trial_location(str(folder), number)) / STATE
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_suffix(".new")
    with files.open_input_stream(path) as source, new.open("wb") as file:
        shutil.copyfileobj(source, file)
    new.replace(target)
    return target


def write_error(base: str) -> str:
    """Say what is wrong with an object store, seen from this machine; "" where nothing is."""
    try:
        files, path = open_filesystem(join_location(base, f"seen-{uuid.uuid4().hex}"))
        with files.open_output_stream(path) as file:
            file.write(b"seen")
        files.delete_file(path)
    except UserError as error:
        return str(error)
    except OSError as error:
        return (str(error).splitlines() or ["no reason given"])[0]
    return ""


class _FolderStore:
    """One file, replaced whole, the one before it kept until then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self) -> str:
        """See `Place`.

        Raises:
            UserError: the folder of the study's checkpoints is not there, as on a node of a cluster
                that does not share the driver's files. Making it would keep them where nobody
                looks.
        """
        try:
            self._folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise UserError(
                f"This node does not see the folder of the checkpoints, {self._folder.parent}; "
                "give a --runs-dir that all nodes share, or --checkpoints with an object store."
            ) from None
        for torn in self._folder.glob(_NEW.format(claim="*")):
            torn.unlink(missing_ok=True)
        name = uuid.uuid4().hex
        new = self._folder / f"{_CLAIM}.{name}"
        new.write_text(name)
        new.replace(self._folder / _CLAIM)
        return name

    def check(self, claimed: str) -> None:
        try:
            held = (self._folder / _CLAIM).read_text()
        except FileNotFoundError:
            held = ""
        if held != claimed:
            raise ClaimLostError(f"Another worker goes on with the trial of {self._folder}.")

    def save(self, dump: Dump, claimed: str) -> None:
        new, current = self._folder / _NEW.format(claim=claimed), self._folder / STATE
        self.check(claimed)
        with new.open("wb") as file:
            dump(file)
            file.flush()
            os.fsync(file.fileno())
        self.check(claimed)
        if current.exists():
            current.replace(self._folder / _PREVIOUS)
        new.replace(current)
        (self._folder / _PREVIOUS).unlink(missing_ok=True)

    def states(self) -> Iterator[Path]:
        for name in (STATE, _PREVIOUS):
            path = self._folder / name
            if path.exists():
                yield path


class _ObjectStore:
    """One object: an object store shows it whole or, where a writer died, as it was before."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._files, self._path = open_filesystem(location)

    def claim(self) -> str:
        name = uuid.uuid4().hex
        self._write(_CLAIM, name.encode())
        return name

    def check(self, claimed: str) -> None:
        try:
            with self._files.open_input_stream(f"{self._path}/{_CLAIM}") as file:
                held = file.read().decode()
        except FileNotFoundError:
            held = ""
        if held != claimed:
            raise ClaimLostError(f"Another worker goes on with the trial of {self._location}.")

    def save(self, dump: Dump, claimed: str) -> None:
        self.check(claimed)
        # Whole here first: a stream that is closed by an error would publish half a file.
        with TemporaryFile() as whole:
            dump(whole)
            whole.seek(0)
            self.check(claimed)
            with self._files.open_output_stream(f"{self._path}/{STATE}") as file:
                shutil.copyfileobj(whole, file, _CHUNK)

    def states(self) -> Iterator[Path]:
        with TemporaryDirectory() as folder:
            fetched = Path(folder) / STATE
            try:
                with (
                    self._files.open_input_stream(f"{self._path}/{STATE}") as source,
                    fetched.open("wb") as file,
                ):
                    shutil.copyfileobj(source, file, _CHUNK)
            except FileNotFoundError:
                return
            yield fetched

    def _write(self, name: str, content: bytes | memoryview) -> None:
        with self._files.open_output_stream(f"{self._path}/{name}") as file:
            file.write(content)


def open_filesystem(location: str) -> tuple["FileSystem", str]:
    """Return the file system of a store's URL and the path in it.

    Raises:
        UserError: there is no such kind of store.
        OSError: it does not answer.
    """
    from pyarrow.fs import FileSystem

    try:
        return FileSystem.from_uri(location)
    except (ValueError, TypeError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise UserError(
            f"--checkpoints must be a URL that pyarrow can open, s3://bucket/path or "
            f"gs://bucket/path say, but got {location!r} ({str(error).splitlines()[0]})."
        ) from None
