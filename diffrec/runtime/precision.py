"""Floating-point format of the products in training and in the reverse chain."""

import logging

import torch

from diffrec.config import RecommenderConfig
from diffrec.config.families import TrainedConfig

logger = logging.getLogger(__name__)

_CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")
"""Any of these multiplies bfloat16 in hardware: x86 with AVX-512 or AMX, ARM."""


def product_dtype(config: TrainedConfig, device: torch.device) -> torch.dtype | None:
    """Return bfloat16, or None for float32 throughout.

    `auto` means bfloat16 if the device has it in hardware and its quality was measured to equal
    that of float32 (`is_bf16_validated`); `bf16` means bfloat16 on every device.
    """
    precision = config.training.precision
    if precision == "auto":
        precision = "bf16" if is_bf16_validated(config) and has_native_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else None


def is_bf16_validated(config: TrainedConfig) -> bool:
    """Return True for models on which bfloat16 was compared with float32, seed by seed.

    These are the four published variants: they predict x_0 and learn no temporal weights
    (benchmarks/precision.py).
    """
    return (
        isinstance(config, RecommenderConfig)
        and config.diffusion.prediction_target == "x_0"
        and config.temporal.is_static
    )


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
