"""Floating-point format of the products in training and in the reverse chain."""

import logging

import torch

from diffrec.config.base import ModelConfig
from diffrec.config.families import training_of

logger = logging.getLogger(__name__)

_CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")
"""Any of these multiplies bfloat16 in hardware: x86 with AVX-512 or AMX, ARM."""


def product_dtype(config: ModelConfig, device: torch.device) -> torch.dtype | None:
    """Return bfloat16, or None for float32 throughout.

    `auto` means bfloat16 if the device has it in hardware and its quality was measured to equal
    that of float32 (`ModelConfig.is_bf16_validated`); `bf16` means bfloat16 on every device.
    """
    training = training_of(config)
    precision = "fp32" if training is None else training.precision
    if precision == "auto":
        precision = "bf16" if config.is_bf16_validated and has_native_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else None


def warn_if_emulated(dtype: torch.dtype | None, device: torch.device) -> None:
    """Log a warning if the device only emulates `dtype`, which is several times slower."""
    if dtype is not None and not has_native_bf16(device):
        logger.warning("This %s only emulates bfloat16: fp32 would be faster.", device.type)


def has_native_bf16(device: torch.device) -> bool:
    """Return True if the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature, False) for feature in _CPU_FEATURES)
