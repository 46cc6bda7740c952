"""Free, reused and mapped memory; ours, since no library tunes glibc's allocator from inside.

glibc returns blocks of more than 128 KiB to the system at once, and every fresh block then costs a
page fault per page: on ML-1M's batches this doubles to quadruples the time of element-wise
operations (benchmarks/allocator.py). No library sets this from inside a process.
"""

import ctypes
import mmap
import platform

import psutil
import torch
from torch.utils.weak import WeakIdKeyDictionary

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_ON_HEAP = 32 * 2**20
"""glibc refuses more."""

_KEPT_FREE = 2**30

_mapped = WeakIdKeyDictionary()
"""Tensors that `mark_mapped` was called for."""


def retain_freed_memory() -> bool:
    """Let the C library reuse freed blocks of up to 32 MiB, 1 GiB in all; return whether it does.

    Does nothing without glibc, and nothing more when called again.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_ON_HEAP)) and bool(
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
    )


def mark_mapped(tensor: torch.Tensor) -> None:
    """Note that `tensor` is mapped from a file and unwritten, so its pages may be released."""
    _mapped[tensor] = True


def release_pages(tensor: torch.Tensor) -> None:
    """Release the memory of a mapped tensor; its values are read from the file when next used.

    Does nothing for other tensors (`mark_mapped`), and nothing on other systems than Linux.
    """
    if platform.system() != "Linux" or tensor not in _mapped:
        return
    page = mmap.PAGESIZE
    start = -(-tensor.data_ptr() // page) * page
    length = (tensor.data_ptr() + tensor.nbytes) // page * page - start
    if length > 0:  # pages shared with a neighbour stay
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def release_all_pages() -> None:
    """Release the memory of all mapped tensors."""
    for tensor in list(_mapped.keys()):
        release_pages(tensor)


def free_memory(device: torch.device) -> int:
    """Return how many bytes are free on the device; the host's for the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
