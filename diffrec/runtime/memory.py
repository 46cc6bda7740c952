"""How much memory is free, and a C library that keeps what it has.

glibc hands blocks of more than 128 KiB back to the system at once, and every fresh block is then
paid for page by page: on ML-1M's batches this doubles to quadruples the time of element-wise
operations (benchmarks/allocator.py).
"""

import ctypes
import mmap
import platform

import psutil
import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_ON_HEAP = 32 * 2**20
"""glibc refuses more."""

_KEPT_FREE = 2**30


def retain_freed_memory() -> bool:
    """Keep blocks of up to 32 MiB, and up to 1 GiB in all; return whether the library took it.

    Elsewhere than on glibc nothing is changed. Calling it again does no harm.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_ON_HEAP)) and bool(
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
    )


def release_pages(mapped: torch.Tensor) -> None:
    """Give back the pages of a tensor that is mapped from a file, unwritten; its values stay.

    They are read from the file again where they are asked for. Elsewhere than on Linux nothing is
    given back.
    """
    if platform.system() != "Linux":
        return
    page = mmap.PAGESIZE
    start = -(-mapped.data_ptr() // page) * page
    length = (mapped.data_ptr() + mapped.nbytes) // page * page - start
    if length > 0:  # pages that it shares with a neighbour stay
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def free_memory(device: torch.device) -> int:
    """Return how many bytes are free on the device; the host's for the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
