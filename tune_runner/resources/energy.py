"""Energy of a worker's share of its machine; ours, since codecarbon measures whole processes.

Processors: Linux's powercap counters (Intel RAPL, and AMD under the same name), the packages and
their memory. GPUs: NVML's counter (`pip install nvidia-ml-py`). The machine's energy is shared out
by the cores and GPUs of a trial, so the shares of all trials and the idle part sum to the total. If
only a part of a trial's resources can be measured, nothing is reported.

codecarbon has no share of a trial, and no NaN after a missing reading.
"""

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")

Counter = Callable[[], float]
"""Returns joules since a fixed moment, never falling; raises OSError if it cannot be read."""


class EnergyMeter:
    """Joules of a share of this machine since the last call."""

    def __init__(self, counters: list[tuple[Counter, float]]) -> None:
        """Start to count.

        Args:
            counters: each with its share, 0 to 1.
        """
        self._counters = counters
        self._last = [counter() for counter, _ in counters]

    def joules(self) -> float:
        """Return the share's joules since the last call, or since the start."""
        readings = [counter() for counter, _ in self._counters]
        parts = zip(readings, self._last, self._counters, strict=True)
        used = sum(share * (value - before) for value, before, (_, share) in parts)
        self._last = readings
        return used


def open_meter(
    cpus: float, gpus: float, *, powercap: Path = POWERCAP, cores: int | None = None
) -> EnergyMeter | None:
    """Return a meter of a trial's share of this machine; None if the machine shows no energy.

    Args:
        cpus: cores of the trial.
        gpus: its share of the GPU; 0 without one.
        powercap: folder of the kernel's counters.
        cores: cores of the machine; None: as many as it has.
    """
    share = cpus / (cores or os.cpu_count() or 1)
    try:
        counters = [(counter, share) for counter in _processors(powercap)]
        if not counters:
            return None
        if gpus:
            counter = _gpu()
            if counter is None:
                return None
            counters.append((counter, gpus))
        return EnergyMeter(counters)
    except OSError:  # the counters exist but are not readable by this user
        return None


def _processors(powercap: Path) -> list[Counter]:
    """Return a counter for each package of the machine, and for memory that is counted apart."""
    zones = sorted(powercap.glob("intel-rapl:*")) if powercap.is_dir() else []
    return [
        _zone(zone)
        for zone in zones
        if (zone / "name").read_text().strip().startswith(("package", "dram"))
    ]


def _zone(zone: Path) -> Counter:
    """Return a counter that continues when the kernel's wraps around."""
    range_uj = int((zone / "max_energy_range_uj").read_text())
    wraps, last = 0, int((zone / "energy_uj").read_text())

    def joules() -> float:
        nonlocal wraps, last
        reading = int((zone / "energy_uj").read_text())
        wraps += reading < last
        last = reading
        return (wraps * range_uj + reading) / 1e6

    return joules


def _gpu() -> Counter | None:
    """Return the counter of this process's first GPU; None if NVML does not show it."""
    if find_spec("pynvml") is None:
        return None
    import torch

    nvml: Any = import_module("pynvml")
    try:
        nvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except nvml.NVMLError:
        return None
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
