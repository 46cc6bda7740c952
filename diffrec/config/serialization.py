"""Strict (de)serialisation of configurations; ours, for dotted paths and an instant --help.

Every rule about *types* lives here (unknown keys, wrong types, dotted paths); every rule about
*values* lives in the dataclass that owns the value.
"""

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Self, TypeVar

from diffrec.errors import UserError, did_you_mean

ConfigT = TypeVar("ConfigT")

_FLOAT_LIMIT, _INT_LIMIT = sys.float_info.max, 2**31 - 1
_SHOWN = 60
"""Characters of a refused value that are shown."""


class SerializableConfig:
    """Methods of every configuration: written, read strictly, changed by dotted path."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries of JSON values."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from nested dictionaries; unknown keys and wrong types raise UserError."""
        return from_dict(cls, values)

    def replace_values(self, values: Mapping[str, Any]) -> Self:
        """Return a copy with dotted paths replaced, e.g. {"diffusion.num_steps": 40}."""
        return replace_paths(self, values)


def to_dict(config: Any) -> dict[str, Any]:
    """Return the dataclass as nested dictionaries of JSON values; tuples become lists."""
    return {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_dict(cls: type[ConfigT], values: Mapping[str, Any], *, path: str = "") -> ConfigT:
    """Build `cls` from nested dictionaries, refusing unknown keys and wrong types.

    Raises:
        UserError: a key is unknown (the nearest known one is named), a value has the wrong type,
            or the dataclass itself refuses the value.
    """
    hints = field_hints(cls)
    for key in values:
        if key not in hints:
            raise UserError(
                f"{cls.__name__} has no field {_join(path, key)!r}{did_you_mean(key, hints)}."
            )
    parsed = {key: _parse(hints[key], value, _join(path, key)) for key, value in values.items()}
    try:
        return cls(**parsed)
    except TypeError as error:  # a field without a default was left out
        raise UserError(f"{cls.__name__} is incomplete: {error}; give the missing field.") from None


@cache
def field_hints(cls: type) -> Mapping[str, Any]:
    """Map each field of the dataclass `cls` to its type; what is no field is left out.

    Remembered, as are the types by path: a space asks thousands of times.
    """
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@cache
def field_types(cls: type, *, path: str = "") -> Mapping[str, Any]:
    """Map every dotted path below `cls` to its type; optional parts are entered too."""
    hints: dict[str, Any] = {}
    for name, hint in field_hints(cls).items():
        nested = nested_class(hint)
        if nested is None:
            hints[_join(path, name)] = hint
        else:
            hints |= field_types(nested, path=_join(path, name))
    return hints


def replace_paths(config: ConfigT, values: Mapping[str, Any]) -> ConfigT:
    """Return a copy of `config` with dotted paths replaced, checked like `from_dict`.

    Raises:
        UserError: a path is unknown, leads into a part that this configuration does not have, or
            its value is refused.
    """
    tree = to_dict(config)
    hints = field_types(type(config))
    for path, value in values.items():
        if path not in hints:
            raise UserError(
                f"{type(config).__name__} has no field {path!r}{did_you_mean(path, hints)}."
            )
        *parents, leaf = path.split(".")
        node = tree
        for depth, parent in enumerate(parents):
            node = node[parent]
            if node is None:
                raise UserError(
                    f"`{path}` has no effect here: this configuration has no "
                    f"`{'.'.join(parents[: depth + 1])}` part; choose a variant that has one."
                )
        node[leaf] = value
    return from_dict(type(config), tree)


def check_type(hint: Any, value: Any, path: str) -> None:
    """Raise UserError where `value` is not of the field's type."""
    _parse(hint, value, path)


def leaf_types(hint: Any) -> list[Any]:
    """Return the types of the values that a field takes, without None and without containers."""
    if _is_union(hint):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return leaf_types(parts[0]) if len(parts) == 1 else [hint]
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return [type(value) for value in typing.get_args(hint)]
    if origin is tuple:
        item, *rest = typing.get_args(hint)
        return leaf_types(item) if rest == [...] else [hint]
    return [hint]


def nested_class(hint: Any) -> type | None:
    """Return the dataclass inside `hint` (itself or `X | None`), or None."""
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    return next((o for o in options if dataclasses.is_dataclass(o) and isinstance(o, type)), None)


def _parse(hint: Any, value: Any, path: str) -> Any:
    if _is_union(hint):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        return _parse(next(o for o in options if o is not type(None)), value, path)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise UserError(f"`{path}` must be a group of fields, but got {_short(value)}.")
        return from_dict(hint, value, path=path)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        allowed = typing.get_args(hint)
        if value not in allowed or isinstance(value, bool):
            listed = ", ".join(map(repr, allowed))
            suggestion = did_you_mean(str(value), map(str, allowed))
            raise UserError(
                f"`{path}` must be one of {listed}, but got {_short(value)}{suggestion}."
            )
        return allowed[allowed.index(value)]  # plain, where the value is an Enum's member
    if origin is tuple:
        return _parse_tuple(hint, value, path)
    return _parse_scalar(hint, value, path)


def _parse_tuple(hint: Any, value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise UserError(
            f"`{path}` must be a list, but got {_short(value)}; write [200, 600], for example."
        )
    item = typing.get_args(hint)[0]
    return tuple(_parse(item, v, f"{path}[{i}]") for i, v in enumerate(value))


def _parse_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not -_FLOAT_LIMIT <= value <= _FLOAT_LIMIT:  # so compared, a NaN is refused, too
            raise UserError(f"`{path}` must be a finite number, but got {_short(value)}.")
        return float(value)
    if hint is int and type(value) is int and abs(value) > _INT_LIMIT:
        raise UserError(f"`{path}` must be at most {_INT_LIMIT:,}, but got {_short(value)}.")
    if type(value) is hint:
        return value
    raise UserError(
        f"`{path}` must be of type {hint.__name__}, but got {_short(value)} "
        f"({type(value).__name__})."
    )


def _short(value: object) -> str:
    """Return the value as the user wrote it, cut where it would fill the terminal."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def to_json(value: Any) -> Any:
    """Return a value as JSON reads it back: dataclasses as dictionaries, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    return value
