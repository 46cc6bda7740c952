"""Named files in a folder or in an object store, each written whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING

from diffrec.errors import UserError
from diffrec.files import atomic_write
from tune_runner.checkpoints.locations import is_url
from tune_runner.checkpoints.patience import ShortReadError, retry_store

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_CHUNK_BYTES = 2**24

Dump = Callable[[IO[bytes]], None]


class BlobStore:
    """Files under one location, read through pyarrow.

    Every method raises OSError if the store does not answer, and UserError if there is no such kind
    of store; the constructor raises nothing. What is read is as long as the store says, or it is an
    error: a response that was cut short would be half a file.
    """

    def __init__(self, location: str, *, patience_seconds: float = 0.0) -> None:
        """Refer to a location.

        Args:
            location: a folder, or the URL of an object store.
            patience_seconds: how long files are read and written again while a store fails.
        """
        self.location, self._patience = location, patience_seconds
        self._folder = None if is_url(location) else Path(location)

    @cached_property
    def _opened(self) -> tuple["FileSystem", str]:
        return _open_filesystem(self.location)

    def create(self) -> None:
        """Make the folder, but not its parents; an object store needs none.

        Raises:
            FileNotFoundError: the parent folder is missing.
        """
        if self._folder is not None:
            self._folder.mkdir(exist_ok=True)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none."""
        files, path = self._opened

        def read() -> bytes:
            with files.open_input_file(f"{path}/{name}") as file:
                content = file.read()
                _check_length(name, len(content), file.size())
                return content

        try:
            return retry_store(read, self._patience)
        except FileNotFoundError:
            return None

    def write(
        self, name: str, content: bytes | Dump, *, check: Callable[[], None] | None = None
    ) -> None:
        """Write a file such that a crash at any moment leaves the old one or the new one.

        Args:
            name: name of the file.
            content: bytes, or a function that writes to an open binary file; what it writes is on
                the disk before it replaces the old file.
            check: called when all is written and before it replaces the old file, before each try
                in a store; an error that it raises leaves the old file.
        """

        def fill(file: IO[bytes]) -> None:
            if callable(content):
                content(file)
                file.flush()
                os.fsync(file.fileno())
            else:
                file.write(content)

        if self._folder is not None:

            def fill_and_check(file: IO[bytes]) -> None:
                fill(file)
                if check is not None:
                    check()

            atomic_write(self._folder / name, fill_and_check)
            return
        # Whole on this machine first: a stream that an error closes would publish half a file.
        with TemporaryFile() as local:
            fill(local)
            retry_store(lambda: self._upload(local, name, check), self._patience)

    def _upload(self, local: IO[bytes], name: str, check: Callable[[], None] | None) -> None:
        files, path = self._opened
        if check is not None:
            check()
        local.seek(0)
        with files.open_output_stream(f"{path}/{name}") as file:
            shutil.copyfileobj(local, file, _CHUNK_BYTES)

    @contextmanager
    def local_file(self, name: str) -> Iterator[Path | None]:
        """Yield the path of a file on this machine, downloaded if need be; None if there is none.

        A downloaded file is deleted afterwards.
        """
        if self._folder is not None:
            path = self._folder / name
            yield path if path.exists() else None
            return
        with TemporaryDirectory() as folder:
            yield self.download(name, Path(folder) / name)

    def download(self, name: str, target: Path) -> Path | None:
        """Copy a file to `target`, whole; return `target`, or None if there is no such file."""
        files, path = self._opened

        def copy() -> None:
            with files.open_input_file(f"{path}/{name}") as source:

                def fill(file: IO[bytes]) -> None:
                    shutil.copyfileobj(source, file, _CHUNK_BYTES)
                    _check_length(name, file.tell(), source.size())

                target.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(target, fill)

        try:
            retry_store(copy, self._patience)
        except FileNotFoundError:
            return None
        return target

    def names(self) -> set[str]:
        """Return the first part of the path of every file."""
        from pyarrow.fs import FileSelector

        files, path = self._opened
        infos = files.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
        return {Path(info.path).relative_to(path).parts[0] for info in infos}

    def delete(self, name: str) -> None:
        """Delete a file.

        Raises:
            FileNotFoundError: there is none.
        """
        files, path = self._opened
        files.delete_file(f"{path}/{name}")

    def delete_folders(self, names: set[str]) -> None:
        """Delete whole folders; those that are missing are passed over."""
        if self._folder is not None:
            for name in names:  # a worker may be writing there, so part of it may fail
                shutil.rmtree(self._folder / name, ignore_errors=True)
            return
        from pyarrow.fs import FileType

        files, path = self._opened  # only these are looked up: a store may hold thousands of others
        infos = files.get_file_info([f"{path}/{name}" for name in sorted(names)])
        for info in infos:
            if info.type != FileType.NotFound:
                files.delete_dir(info.path)

    def delete_partial(self) -> None:
        """Delete what writers that were killed have left of unfinished files."""
        if self._folder is not None:
            for partial in self._folder.glob(".*.new"):
                partial.unlink(missing_ok=True)


def _check_length(name: str, received: int, length: int) -> None:
    """Raise ShortReadError unless all of a file has come."""
    if received != length:
        raise ShortReadError(f"{received:,} of {length:,} bytes of {name} were received")


def _open_filesystem(location: str) -> tuple["FileSystem", str]:
    """Return the file system of a folder or URL, and the path in it.

    Raises:
        UserError: there is no such kind of store.
        OSError: it does not answer.
    """
    from pyarrow.fs import FileSystem, LocalFileSystem

    if not is_url(location):
        return LocalFileSystem(), location
    try:
        return FileSystem.from_uri(location)
    except (ValueError, TypeError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise UserError(
            f"--checkpoints must be a URL that pyarrow can open, for example s3://bucket/path or "
            f"gs://bucket/path, but got {location!r} ({str(error).splitlines()[0]})."
        ) from None
