"""Domains: the values that a hyperparameter may take. Every bound is inclusive, everywhere.

Data only: the samplers that draw from a domain live in `tune_runner.search`. A relative domain is
measured against another parameter, so that a constraint between the two holds by construction.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffrec.config.external import register
from diffrec.config.serialization import to_json
from diffrec.errors import UserError

Scalar = str | int | float | bool | None


VALUE_LIMIT = 10_000
"""Values of a Choice at most."""


def is_number(value: object) -> bool:
    """Return True if a value is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def frozen(value: Any) -> Any:
    """Return a value with tuples for lists, at every depth: JSON does not tell them apart."""
    if isinstance(value, Mapping):
        return {key: frozen(item) for key, item in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def _check_bounds(kind: str, low: float, high: float) -> None:
    if not (is_number(low) and is_number(high)):
        raise UserError(
            f"{kind} needs numbers as bounds, but got low={low!r} and high={high!r}; change them."
        )
    if not (-math.inf < low <= high < math.inf):
        raise UserError(
            f"{kind} needs finite bounds with low <= high, but got low={low} and high={high}; "
            "exchange or change them."
        )


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Choice:
    """One of the values given, in the order given; a list and a tuple are the same value."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        """List the values; the configuration class of a recommender stands for its variant."""
        if not values:
            raise UserError("Choice needs at least one value, but got none; list the values.")
        if len(values) > VALUE_LIMIT:
            raise UserError(
                f"Choice takes at most {VALUE_LIMIT:,} values, but got {len(values):,}; use an "
                "interval, for example IntUniform."
            )
        values = tuple(
            _plain_value(register(value) if isinstance(value, type) else value) for value in values
        )
        if any(value in values[:i] for i, value in enumerate(values)):
            raise UserError(f"Choice needs distinct values, but got {values}; drop the repeated.")
        object.__setattr__(self, "values", values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and frozen(self.values) == frozen(other.values)

    def __hash__(self) -> int:
        return hash(frozen(self.values))

    def __contains__(self, value: object) -> bool:
        value = frozen(value)
        return any(
            value == option and type(value) is type(option) for option in frozen(self.values)
        )

    @property
    def labels(self) -> tuple[Scalar, ...]:
        """The values as scalars, for samplers without lists: a list becomes its JSON text."""
        return tuple(
            v if v is None or isinstance(v, str | int | float) else json.dumps(v)
            for v in self.values
        )

    def corners(self) -> tuple[Any, ...]:
        """Return the values whose configurations must all be valid: every one."""
        return self.values

    def grid(self) -> tuple[Any, ...] | None:
        """Return every value."""
        return self.values

    def to_dict(self) -> dict[str, Any]:
        """Return the domain as JSON values."""
        return {"kind": "choice", "values": [to_json(value) for value in self.values]}


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform on the closed interval [low, high]."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("Uniform", self.low, self.high)

    def __contains__(self, value: object) -> bool:
        return is_number(value) and self.low <= value <= self.high  # type: ignore[operator]

    def corners(self) -> tuple[float, ...]:
        """Return both ends."""
        return (self.low, self.high)

    def grid(self) -> None:
        """Return None: an interval has no finite list of values."""

    def to_dict(self) -> dict[str, Any]:
        """Return the domain as JSON values."""
        return {"kind": "uniform", "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Log-uniform on the closed interval [low, high], low > 0."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("LogUniform", self.low, self.high)
        if self.low <= 0:
            raise UserError(f"LogUniform needs low > 0, but got low={self.low}; raise it.")

    def __contains__(self, value: object) -> bool:
        return is_number(value) and self.low <= value <= self.high  # type: ignore[operator]

    def corners(self) -> tuple[float, ...]:
        """Return both ends."""
        return (self.low, self.high)

    def grid(self) -> None:
        """Return None: an interval has no finite list of values."""

    def to_dict(self) -> dict[str, Any]:
        """Return the domain as JSON values."""
        return {"kind": "log_uniform", "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class IntUniform:
    """Integers from low to high, both included; `log` makes every doubling equally likely."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds("IntUniform", self.low, self.high)
        if type(self.low) is not int or type(self.high) is not int:
            raise UserError(f"IntUniform needs whole bounds, but got {self.low} and {self.high}.")
        if self.log and self.low < 1:
            raise UserError(
                f"IntUniform with log=True needs low >= 1, but got {self.low}; raise it."
            )

    def __contains__(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high

    def corners(self) -> tuple[int, ...]:
        """Return both ends."""
        return (self.low, self.high)

    def grid(self) -> Sequence[int] | None:
        """Return every integer of the range."""
        return range(self.low, self.high + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the domain as JSON values."""
        return {"kind": "int_uniform", "low": self.low, "high": self.high, "log": self.log}


PlainDomain = Choice | Uniform | LogUniform | IntUniform


@dataclass(frozen=True, slots=True)
class ScaledFrom:
    """The value of parameter `path` times a factor; a factor >= 1 keeps it at or above `path`."""

    path: str
    factor: PlainDomain

    def __post_init__(self) -> None:
        _check_relative("ScaledFrom", self.path, self.factor)

    def value(self, base: float, factor: float) -> float:
        """Return the parameter's value, given that of `path` and the factor drawn."""
        return base * factor

    def factor_of(self, base: float, value: float) -> float:
        """Return the factor that gives `value`; inverse of `value`."""
        return value / base

    def to_dict(self) -> dict[str, Any]:
        """Return the domain as JSON values."""
        return {"kind": "scaled_from", "path": self.path, "factor": self.factor.to_dict()}


@dataclass(frozen=True, slots=True)
class FractionOf:
    """A whole number from 0 to the value of parameter `path`, both included, by a fraction."""

    path: str
    factor: PlainDomain = Uniform(0.0, 1.0)

    def __post_init__(self) -> None:
        _check_relative("FractionOf", self.path, self.factor)
        if not all(0 <= corner <= 1 for corner in self.factor.corners()):
            raise UserError(
                f"FractionOf needs fractions between 0 and 1, but got {self.factor.corners()}."
            )

    def value(self, base: int, factor: float) -> int:
        """Return the parameter's value; every whole number is equally likely."""
        return min(base, int(factor * (base + 1)))

    def factor_of(self, base: int, value: int) -> float:
        """Return a factor that gives `value`, from the middle of those that do."""
        return (value + 0.5) / (base + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the domain as JSON values."""
        return {"kind": "fraction_of", "path": self.path, "factor": self.factor.to_dict()}


RelativeDomain = ScaledFrom | FractionOf
Domain = PlainDomain | RelativeDomain


def sampled_domain(domain: Domain) -> PlainDomain:
    """Return the domain that is sampled: the domain itself, or the factor of a relative one."""
    return domain.factor if isinstance(domain, RelativeDomain) else domain


def coordinate_name(path: str, domain: Domain) -> str:
    """Return the name of a sample in the record: a ratio does not have its parameter's name."""
    return f"{path} / {domain.path}" if isinstance(domain, RelativeDomain) else path


def _check_relative(kind: str, path: object, factor: object) -> None:
    if not isinstance(path, str):
        raise UserError(f"{kind} needs the path of a parameter, but got {path!r}.")
    if not isinstance(factor, PlainDomain) or not all(map(is_number, factor.corners())):
        raise UserError(f"{kind} needs a domain of numbers as its factor, but got {factor!r}.")


def _plain_value(value: Any) -> Any:
    """Return a value of a Choice as a plain Python value, also of Enum members and NumPy floats.

    Records and workers do not have the classes of a user's module.

    Raises:
        UserError: it cannot be part of a configuration or of JSON.
    """
    if isinstance(value, list | tuple):
        parts = [_plain_value(part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if not isinstance(value, float):
        raise UserError(
            f"Choice takes texts, numbers, true and false, None and lists of them, but got "
            f"{value!r} ({type(value).__name__}); write it as one of these."
        )
    if not math.isfinite(value):
        raise UserError(f"Choice takes finite numbers, but got {value!r}; drop it.")
    return float(value)
