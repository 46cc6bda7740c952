"""Which number format the products of a training step use."""

import logging

import torch

from diffrec.config import Precision

logger = logging.getLogger(__name__)

_CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")
"""Any of these multiplies bfloat16 in hardware: x86 with AVX-512 or AMX, ARM."""


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return bfloat16, or None for float32 throughout.

    `auto` takes bfloat16 where the device multiplies it in hardware. `bf16` is obeyed elsewhere
    too, with a warning: emulated it is several times slower than float32.
    """
    if precision == "fp32":
        return None
    native = has_native_bf16(device)
    if precision == "bf16" and not native:
        logger.warning("This %s only emulates bfloat16: fp32 would be faster.", device.type)
    return torch.bfloat16 if native or precision == "bf16" else None


def has_native_bf16(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature, False) for feature in _CPU_FEATURES)
