"""Best-validation weights, in memory or in a file; ours, to save a quarter of the memory.

For the largest models a second copy of the weights, or a checkpoint that is read whole before it is
used, would each add a quarter to the memory of training (benchmarks/memory.py).
"""

import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn

from diffrec.runtime.memory import mark_mapped, release_all_pages, release_pages

IN_MEMORY_BYTES = 2**28
"""Largest state, in bytes, that is copied in memory."""


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
    """File to save to that releases the pages of mapped tensors once they are written.

    Otherwise all of a large state would end up in memory, beside the model that it is a copy of.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        """Write to the file."""
        written = self._file.write(data)
        release_all_pages()
        return written

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


class BestState:
    """One copy of a `state_dict`, replaced whole.

    A large one is in an unnamed file in the system's temporary folder (TMPDIR) that disappears with
    the process.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._file: IO[bytes] | None = None

    def store(self, state: Mapping[str, Tensor]) -> None:
        """Copy `state` in place of the last copy."""
        self._tensors = {}
        if self._file is not None:
            self._file.close()
            self._file = None
        if sum(tensor.nbytes for tensor in state.values()) <= IN_MEMORY_BYTES:
            self._tensors = {name: tensor.clone() for name, tensor in state.items()}
            return
        # A new file each time: the last one's tensors may still be in use.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the copy
        weakref.finalize(self, self._file.close)
        copies = {name: own_storage(tensor.detach()) for name, tensor in state.items()}
        torch.save(copies, PageReleasingFile(self._file))  # type: ignore[arg-type]
        self._file.flush()

    def restore(self, model: nn.Module) -> None:
        """Load the copy into `model`, one tensor at a time."""
        parameters, stored = model.state_dict(), self.tensors()
        assert parameters.keys() == stored.keys()
        for name, tensor in parameters.items():
            tensor.copy_(stored[name])
            release_pages(stored[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return the copy, for reading only; empty before the first `store`.

        A large one is mapped from its file.
        """
        if self._file is None:
            return dict(self._tensors)
        return read_state(Path(f"/dev/fd/{self._file.fileno()}"))


def own_storage(tensor: Tensor) -> Tensor:
    """Return a copy of a view: `torch.save` would write all that the view is a part of."""
    return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
