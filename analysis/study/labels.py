"""How parameters and cells are called where people read: short, and never a bare number."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def value_label(value: Any) -> str:
    """Return one value for people."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "×".join(map(str, value))
    return str(value)


def signed(*values: float, least: int = 4) -> list[str]:
    """Return numbers of one kind with their sign, decimals enough for two digits of the largest."""
    size = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    decimals = least if size == 0 else max(least, 1 - math.floor(math.log10(size)))
    return [f"{value:+.{decimals}f}" for value in values]


def short_path(path: str) -> str:
    """Return a parameter's own name: `num_clusters` of `autoencoder.num_clusters`."""
    return path.rsplit(".", 1)[-1]


def short_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return each parameter's shortest name that none of the others has: its own or the whole."""
    own = [short_path(path) for path in paths]
    return {
        path: name if own.count(name) == 1 else path for path, name in zip(paths, own, strict=True)
    }


def named_value(path: str, value: Any, name: str | None = None) -> str:
    """Return a value with what it counts: `1 cluster`, `3 steps`, `patience 20`.

    Args:
        path: the parameter.
        value: of it.
        name: what the parameter is called; None: its own name, without the part it belongs to.
    """
    name = name or short_path(path)
    if not name.startswith("num_") or isinstance(value, bool) or not isinstance(value, int):
        return f"{name} {value_label(value)}"
    noun = name.removeprefix("num_").replace("_", " ")
    return f"{value} {noun.removesuffix('s') if value == 1 else noun}"


def label_of(params: Sequence[tuple[str, Any]], between: str = "·") -> str:
    """Return a parameter set such as `kmeans·3`; what has no meaning there is left out.

    Where no word is among the values, each says what it counts: `1 cluster`.
    """
    if not params:
        return "published"
    if any(isinstance(value, str) for _, value in params):
        return between.join(value_label(value) for _, value in params)
    names = short_paths([path for path, _ in params])
    return between.join(named_value(path, value, names[path]) for path, value in params)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested configuration by dotted path."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        found |= flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return found
