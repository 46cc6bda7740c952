"""Assumed power of what draws none that is measured, and the energy that follows from it.

`analysis` reports with the same numbers that a budget (`--max-kwh`) is counted with.
"""

GPU_WATTS = 280.0
"""Assumed draw of a whole GPU under load, if none was measured: the reproduction report's."""

CPU_CORE_WATTS = 10.0
"""Assumed draw of one busy CPU core with its share of memory and board."""

IDLE_CORE_WATTS = 3.0
"""Assumed draw of one idle core with its share of memory and board."""

IDLE_GPU_WATTS = 50.0
"""Assumed draw of a GPU that nothing runs on."""

JOULES_PER_KWH = 3.6e6


def kilowatt_hours(hours: float, watts: float) -> float:
    """Return the energy of a power over some hours."""
    return hours * watts / 1000
