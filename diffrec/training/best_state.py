"""The best-validation weights of a run: in memory, or in a file where they are large.

A second copy of the largest models' weights would be a quarter of all that training needs. So would
a checkpoint that is read whole before any of it is used.
"""

import mmap
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor, nn

from diffrec.runtime.memory import release_pages

IN_MEMORY_BYTES = 2**28
"""States of up to this size are kept in memory."""


OnCopied = Callable[[Tensor], None]
"""Told of each tensor of a state that has been copied."""

_mapped: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()
"""Files that somebody reads a kept state from."""


def ignore(tensor: Tensor) -> None:
    """Do nothing: who has a state in memory keeps it."""


def read_state(path: Path) -> tuple[dict[str, Any], OnCopied]:
    """Return what `torch.save` wrote, on the CPU, and whom to tell what of it has been copied.

    A large file is read as it is used, and what was copied goes: never is all of it in memory.

    Raises:
        RuntimeError, OSError, EOFError, ValueError, UnpicklingError: it cannot be read.
    """
    large = path.stat().st_size > IN_MEMORY_BYTES
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=large)
    return state, release_pages if large else ignore


class PageReleasingFile:
    """A file to save to, which lets go of a kept state's pages as soon as they are written.

    Else all of a large state would be resident in the end, beside the model that it is a copy of.
    They are still in its file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        """Write to the file."""
        written = self._file.write(data)
        for pages in _mapped:
            pages.madvise(mmap.MADV_DONTNEED)
        return written

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


class _Place(NamedTuple):
    """Where a tensor lies in the file."""

    start: int
    dtype: torch.dtype
    shape: torch.Size


class BestState:
    """One copy of a `state_dict`, replaced whole.

    A large one lies in an unnamed file in the system's temporary folder (TMPDIR), which goes with
    the process.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._places: dict[str, _Place] = {}
        self._file: IO[bytes] | None = None

    def store(self, state: Mapping[str, Tensor], on_copied: OnCopied = ignore) -> None:
        """Copy `state`, telling `on_copied` of each tensor that is copied."""
        self._places, self._tensors = {}, {}
        if self._file is not None:
            self._file.close()
            self._file = None
        if sum(tensor.nbytes for tensor in state.values()) <= IN_MEMORY_BYTES:
            self._tensors = {name: tensor.clone() for name, tensor in state.items()}
        else:
            self._write(state, on_copied)

    def restore(self, model: nn.Module) -> None:
        """Put the copy into `model`, a tensor at a time."""
        own = model.state_dict()
        assert own.keys() == (self._places or self._tensors).keys()
        for name, mine in own.items():
            mine.copy_(self._read(name) if self._places else self._tensors[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return the copy, to be read only; empty where nothing was kept.

        A large one is read as it is used.
        """
        if self._file is None:
            return dict(self._tensors)
        pages = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
        _mapped.add(pages)
        return {
            name: torch.frombuffer(
                pages, dtype=place.dtype, count=place.shape.numel(), offset=place.start
            ).view(place.shape)
            for name, place in self._places.items()
        }

    def _write(self, state: Mapping[str, Tensor], on_copied: OnCopied) -> None:
        # A new file each time: whoever asked for the last one's tensors may still be reading them.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the copy
        weakref.finalize(self, self._file.close)
        for name, tensor in state.items():
            self._file.seek(-self._file.tell() % tensor.element_size(), 1)  # as frombuffer asks
            self._places[name] = _Place(self._file.tell(), tensor.dtype, tensor.shape)
            self._file.write(_bytes(tensor.detach().cpu().contiguous()))
            on_copied(tensor)
        self._file.flush()

    def _read(self, name: str) -> Tensor:
        assert self._file is not None
        place = self._places[name]
        found = torch.empty(place.shape, dtype=place.dtype)
        self._file.seek(place.start)
        self._file.readinto(_bytes(found))  # type: ignore[attr-defined]
        return found


def _bytes(tensor: Tensor) -> memoryview:
    """Return the tensor's own memory."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
