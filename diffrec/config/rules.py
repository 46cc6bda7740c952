"""The checks that configuration classes share; each failure is one sentence."""

from diffrec.errors import UserError


def require(holds: bool, message: str) -> None:
    """Raise UserError with `message` unless the rule holds."""
    if not holds:
        raise UserError(message)


def at_least(name: str, value: float, low: float) -> None:
    """Raise UserError unless `value >= low`."""
    require(value >= low, f"`{name} >= {low}` must hold, but got {value}.")


def positive(name: str, value: float) -> None:
    """Raise UserError unless `value > 0`."""
    require(value > 0, f"`{name} > 0` must hold, but got {value}.")
