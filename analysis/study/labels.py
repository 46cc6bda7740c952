"""Names of parameters, values and cells where people read them: short, never a bare number."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

NONE = "–"
"""Text of a cell in which nothing is known."""


def value_label(value: Any) -> str:
    """Return one value for people."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "×".join(map(str, value))
    return str(value)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is a number; a truth value is none."""
    return type(value) in (int, float)


def hashable(value: Any) -> Any:
    """Return a value that can be a key or be compared: a list as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def number_text(value: float, spec: str = ".4f") -> str:
    """Return a number in a format, or `NONE` for NaN."""
    return NONE if math.isnan(value) else format(value, spec)


def list_some(names: Sequence[str], most: int = 3) -> str:
    """Return the first names with a count of the others: `a, b, c and 4 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def signed(*values: float, least: int = 4) -> list[str]:
    """Return numbers of one kind with their sign, decimals enough for two digits of the largest."""
    size = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    decimals = least if size == 0 else max(least, 1 - math.floor(math.log10(size)))
    return [f"{value:+.{decimals}f}" for value in values]


def short_path(path: str) -> str:
    """Return a parameter's last name: `num_clusters` for `autoencoder.num_clusters`."""
    return path.rsplit(".", 1)[-1]


def short_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return each parameter's last name, or its whole path where two end alike."""
    names = [short_path(path) for path in paths]
    return {
        path: name if names.count(name) == 1 else path
        for path, name in zip(paths, names, strict=True)
    }


def named_value(path: str, value: Any, name: str | None = None) -> str:
    """Return a value with its name: `1 cluster`, `3 steps`, `patience 20`.

    Args:
        path: the parameter.
        value: its value.
        name: the name to use; None: the parameter's last name.
    """
    name = name or short_path(path)
    if not name.startswith("num_") or isinstance(value, bool) or not isinstance(value, int):
        return f"{name} {value_label(value)}"
    noun = name.removeprefix("num_").replace("_", " ")
    return f"{value} {noun.removesuffix('s') if value == 1 else noun}"


def label_of(params: Sequence[tuple[str, Any]], between: str = "·") -> str:
    """Return a parameter set such as `kmeans·3`; inactive parameters are left out.

    If no value is a word, each is given its name: `1 cluster`.
    """
    if not params:
        return "published"
    if any(isinstance(value, str) for _, value in params):
        return between.join(value_label(value) for _, value in params)
    names = short_paths([path for path, _ in params])
    return between.join(named_value(path, value, names[path]) for path, value in params)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested configuration by dotted path."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        result |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return result
