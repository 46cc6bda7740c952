"""The checks that configuration classes share; each failure is one sentence."""

from collections.abc import Sequence

from diffrec.errors import UserError

WIDTH_LIMIT, LAYER_LIMIT, STEP_LIMIT = 2**20, 64, 100_000
"""Bounds of a layer's width, of the number of layers, and of the diffusion's steps: far above what
trains, far below what ends in the system's killing the process."""


def require(holds: bool, message: str) -> None:
    """Raise UserError with `message` unless the rule holds."""
    if not holds:
        raise UserError(message)


def at_least(name: str, value: float, low: float) -> None:
    """Raise UserError unless `value >= low`."""
    require(value >= low, f"`{name} >= {low}` must hold, but got {value}.")


def at_most(name: str, value: float, high: float) -> None:
    """Raise UserError unless `value <= high`."""
    require(
        value <= high,
        f"`{name} <= {high:,}` must hold, but got {value}; more does not fit into a memory.",
    )


def widths(name: str, values: Sequence[int]) -> None:
    """Raise UserError unless `values` are widths of layers that a network can have."""
    require(
        len(values) <= LAYER_LIMIT,
        f"`{name}` must have at most {LAYER_LIMIT} layers, but got {len(values)}; drop some.",
    )
    for width in values:
        at_most(name, width, WIDTH_LIMIT)


def positive(name: str, value: float) -> None:
    """Raise UserError unless `value > 0`."""
    require(value > 0, f"`{name} > 0` must hold, but got {value}.")
