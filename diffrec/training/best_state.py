"""Best-validation weights of a run: in memory, or in a file if they are large.

Ours, since for the largest models a second copy of the weights, or a checkpoint that is read whole
before it is used, would each add a quarter to the memory of training (benchmarks/memory.py).
"""

import mmap
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor, nn

from diffrec.runtime.memory import mark_mapped, release_pages

IN_MEMORY_BYTES = 2**28
"""Largest state, in bytes, that is copied in memory."""


_mapped: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()
"""Files from which the tensors of a `BestState` are being read."""


def read_state(path: Path) -> dict[str, Any]:
    """Return what `torch.save` wrote, on the CPU.

    A large file is mapped: `release_pages` on each tensor that has been copied keeps the whole of
    it from being in memory at once.

    Raises:
        RuntimeError, OSError, EOFError, ValueError, UnpicklingError: it cannot be read.
    """
    large = path.stat().st_size > IN_MEMORY_BYTES
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=large)
    if large:
        for tensor in _tensors(state):
            mark_mapped(tensor)
    return state


class PageReleasingFile:
    """File to save to that releases the pages of a stored best state once they are written.

    Otherwise all of a large state would end up in memory, beside the model that it is a copy of.
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
    """Offset in bytes, type and shape of a tensor in the file."""

    start: int
    dtype: torch.dtype
    shape: torch.Size


class BestState:
    """One copy of a `state_dict`, replaced whole.

    A large one is in an unnamed file in the system's temporary folder (TMPDIR) that disappears with
    the process.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._places: dict[str, _Place] = {}
        self._file: IO[bytes] | None = None

    def store(self, state: Mapping[str, Tensor]) -> None:
        """Copy `state` in place of the last copy."""
        self._places, self._tensors = {}, {}
        if self._file is not None:
            self._file.close()
            self._file = None
        if sum(tensor.nbytes for tensor in state.values()) <= IN_MEMORY_BYTES:
            self._tensors = {name: tensor.clone() for name, tensor in state.items()}
        else:
            self._write(state)

    def restore(self, model: nn.Module) -> None:
        """Load the copy into `model`, one tensor at a time."""
        own = model.state_dict()
        assert own.keys() == (self._places or self._tensors).keys()
        for name, mine in own.items():
            mine.copy_(self._read(name) if self._places else self._tensors[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return the copy, for reading only; empty before the first `store`.

        A large one is mapped from its file.
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

    def _write(self, state: Mapping[str, Tensor]) -> None:
        # A new file each time: the last one's tensors may still be in use.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the copy
        weakref.finalize(self, self._file.close)
        for name, tensor in state.items():
            self._file.seek(-self._file.tell() % tensor.element_size(), 1)  # as frombuffer asks
            self._places[name] = _Place(self._file.tell(), tensor.dtype, tensor.shape)
            self._file.write(_bytes(tensor.detach().cpu().contiguous()))
            release_pages(tensor)
        self._file.flush()

    def _read(self, name: str) -> Tensor:
        assert self._file is not None
        place = self._places[name]
        found = torch.empty(place.shape, dtype=place.dtype)
        self._file.seek(place.start)
        self._file.readinto(_bytes(found))  # type: ignore[attr-defined]
        return found


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)


def _bytes(tensor: Tensor) -> memoryview:
    """Return a view of the tensor's memory."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
