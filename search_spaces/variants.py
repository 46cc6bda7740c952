"""Variants that a space may take, and those under which each of its parameters is active."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from diffrec.config import ModelConfig, serialization
from diffrec.config.presets import ALL_VARIANTS, FALLBACK_DATASET, preset
from search_spaces.definition import SpaceDefinition
from search_spaces.domains import Choice, RelativeDomain

VARIANT = "variant"
"""The only searchable name that is not a field: the published configuration to start from."""


def fields_of(variant: str) -> Mapping[str, Any]:
    """Map every dotted path of the variant's configuration class to its type.

    Raises:
        UserError: no such variant.
    """
    # a class from outside may be loaded anew, from a changed file
    return (_known_fields if variant in ALL_VARIANTS else _fields)(variant)


def _fields(variant: str) -> Mapping[str, Any]:
    return serialization.field_types(type(preset(variant, FALLBACK_DATASET).config))


_known_fields = cache(_fields)


def fields_of_any(variants: Iterable[str]) -> list[str]:
    """Return the dotted paths that the configuration of at least one of `variants` has."""
    return list(dict.fromkeys(path for variant in variants for path in fields_of(variant)))


def variants_of(space: SpaceDefinition) -> tuple[str, ...]:
    """Return the variants that a space may take, in the order given."""
    if space.variant is not None:
        return (str(space.variant),)
    domain = space.domains[VARIANT]
    assert isinstance(domain, Choice)
    return domain.values


def variants_with(space: SpaceDefinition, path: str) -> tuple[str, ...]:
    """Return the variants under which `path` is active, by all the conditions it depends on."""
    variants = variants_of(space)
    if path == VARIANT:
        return variants
    domain, condition = space.domains[path], space.conditions.get(path)
    if isinstance(domain, RelativeDomain):
        variants = _intersection(variants, variants_with(space, domain.path))
    if condition is None:
        return variants
    if condition.parent == VARIANT:
        return tuple(variant for variant in variants if condition.allows(variant))
    return _intersection(variants, variants_with(space, condition.parent))


def is_searched(space: SpaceDefinition, variant: str) -> bool:
    """Return True if anything is searched under `variant`, apart from the variant itself."""
    return any(variant in variants_with(space, path) for path in space.domains if path != VARIANT)


def _intersection(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(variant for variant in first if variant in second)


def variant_name(params: Mapping[str, Any], config: ModelConfig) -> str:
    """Return the name that a point's configuration has in records: the variant it was made from.

    If the point's other values make another variant of it (weights by time, say), it has that name.
    """
    chosen = params.get(VARIANT)
    if chosen is None:
        return config.variant
    unchanged = preset(str(chosen), FALLBACK_DATASET).config.variant == config.variant
    return str(chosen) if unchanged else config.variant
