"""Limits a worker to its CPUs and to its share of the GPU memory."""

import gc

from diffrec.errors import UserError
from tune_runner.resources.allocation import TrialResources

CONTEXT_BYTES = 600 * 2**20
"""GPU memory of a process with torch before its first tensor: CUDA context and kernels."""


def apply_resource_limits(resources: TrialResources) -> str:
    """Limit this process to the resources; return torch's name of its device."""
    import torch

    torch.set_num_threads(max(1, int(resources.cpus)))
    if not resources.gpus or not torch.cuda.is_available():
        return "cpu"
    total_bytes = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(usable_gpu_fraction(resources.gpus, total_bytes))
    return "cuda"


def usable_gpu_fraction(share: float, gpu_bytes: float) -> float:
    """Return the fraction of a GPU that a worker's tensors may use: its share less its context.

    Torch's limit does not count the context, so that many small shares would otherwise sum to more
    than the GPU has.

    Args:
        share: share of one GPU, or a number of whole GPUs.
        gpu_bytes: memory of the GPU.

    Raises:
        UserError: the share is smaller than the context.
    """
    fraction = min(1.0, share) - CONTEXT_BYTES / gpu_bytes
    if fraction <= 0:
        raise UserError(
            f"A GPU share of {share:g} is {share * gpu_bytes / 2**20:,.0f} MiB here, but a process "
            f"needs {CONTEXT_BYTES / 2**20:,.0f} MiB before its first tensor; request more."
        )
    return fraction


def release_gpu_memory(device: str) -> None:
    """Return the memory of the last trial of this worker to the GPU."""
    if device == "cuda":
        import torch

        gc.collect()  # reference cycles keep memory
        torch.cuda.empty_cache()
