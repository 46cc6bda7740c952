"""Validates a search space before anything runs; each error is one sentence."""

from collections.abc import Iterable, Iterator, Mapping
from types import NoneType
from typing import Any

from diffrec.config import serialization
from diffrec.config.base import ModelConfig
from diffrec.config.presets import ALL_VARIANTS, check_variant
from diffrec.errors import UserError, did_you_mean
from search_spaces.definition import (
    POINT_LIMIT,
    PRUNERS,
    Condition,
    SpaceDefinition,
    check_strategy,
)
from search_spaces.domains import Choice, Domain, RelativeDomain, is_number, sampled_domain
from search_spaces.goal_rules import check_goals
from search_spaces.objectives import Objective
from search_spaces.variants import (
    VARIANT,
    fields_of,
    fields_of_any,
    is_searched,
    variants_of,
    variants_with,
)


def check_definition(space: SpaceDefinition) -> None:
    """Raise UserError for the first rule that `space` breaks."""
    _check_fields(space)
    _check_variants(space)
    _check_names(space)
    _check_conditions(space)
    order_paths(space.domains, space.conditions)
    _check_activity(space)
    _check_types(space)
    check_goals(space)
    _check_strategy(space)


def order_paths(domains: Mapping[str, Domain], conditions: Mapping[str, Condition]) -> list[str]:
    """Return the paths of `domains`, each after those it depends on, otherwise as given."""
    ordered: list[str] = []

    def visit(path: str, trail: tuple[str, ...]) -> None:
        if path in ordered:
            return
        if path in trail:
            raise UserError(f"Parameters depend on each other in a circle: {' -> '.join(trail)}.")
        for dependency in _dependencies(path, domains, conditions):
            visit(dependency, (*trail, path))
        ordered.append(path)

    for path in domains:
        visit(path, ())
    return ordered


def unset_paths(paths: Iterable[str], base: ModelConfig) -> list[str]:
    """Return those of `paths` that `base` has and that may be None: they are inactive."""
    types = serialization.field_types(type(base))
    tree = base.to_dict()
    return [
        path
        for path in paths
        if path in types and _accepts_none(types[path]) and _has_part(tree, path.split(".")[:-1])
    ]


def flat_values(config: Any) -> dict[str, Any]:
    """Return the values of a configuration by dotted path; parts that it lacks are left out."""

    def walk(tree: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from walk(value, f"{path}{key}.")
            else:
                yield f"{path}{key}", value

    return dict(walk(config.to_dict(), ""))


def _dependencies(
    path: str, domains: Mapping[str, Domain], conditions: Mapping[str, Condition]
) -> list[str]:
    domain = domains[path]
    base = [domain.path] if isinstance(domain, RelativeDomain) else []
    return base + ([conditions[path].parent] if path in conditions else [])


def check_override(space: SpaceDefinition, path: str) -> None:
    """Raise UserError if fixing `path` would change no trial of `space`."""
    if path in space.domains:
        raise UserError(
            f"Space {space.name!r} searches `{path}`, so it cannot be fixed for a study; leave it "
            "out, or use a space without it."
        )
    fields = fields_of_any(variants_of(space))
    if path not in fields:
        raise UserError(
            f"`{path}` has no effect in space {space.name!r}: none of its variants "
            f"({', '.join(variants_of(space))}) has such a field{did_you_mean(path, fields)}."
        )


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "question": (str, "a sentence"),
    "domains": (Mapping, "a dictionary from paths to domains"),
    "variant": ((str, NoneType), "the name of a variant, or None"),
    "conditions": (Mapping, "a dictionary from paths to Conditions"),
    "overrides": (Mapping, "a dictionary from paths to values"),
    "objective": (Objective, "an Objective, such as Objective('valid/recall@20')"),
    "objectives": (tuple, "a tuple of two or three Objectives"),
    "constraint": ((str, NoneType), "a text such as 'valid/recall@20 within 1 % of the best'"),
    "replicates": (int, "a whole number"),
    "trials": ((int, NoneType), "a whole number, or None"),
    "start_published": (bool, "True or False"),
    "equal_share": (bool, "True or False"),
    "control": ((Mapping, NoneType), "a dictionary from paths to values, or None"),
}


def _check_fields(space: SpaceDefinition) -> None:
    """Raise UserError for the first field that is of another type than it is declared with."""
    for name, (kind, rule) in _KINDS.items():
        value = getattr(space, name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UserError(
                f"`{name}` of space {space.name!r} must be {rule}, but got {value!r} "
                f"({type(value).__name__})."
            )
    if not space.question.strip() or not space.question.isprintable():
        raise UserError(
            f"`question` of space {space.name!r} must be a sentence in one line, but got "
            f"{space.question!r}."
        )
    for mapping in (space.domains, space.conditions, space.overrides, space.control or {}):
        for path in mapping:
            if not isinstance(path, str):
                raise UserError(
                    f"Space {space.name!r} needs dotted paths as keys, but got {path!r}; write it "
                    "as text."
                )
    for path in space.control or {}:
        if path not in space.domains:
            raise UserError(
                f"The control of space {space.name!r} sets {path!r}, which it does not search"
                f"{did_you_mean(path, space.domains)}."
            )
    for path, domain in space.domains.items():
        if not isinstance(domain, Domain):
            raise UserError(
                f"Space {space.name!r} needs a domain for {path!r}, but got {domain!r}; write "
                f"Choice({domain!r}) for a single value."
            )
    for path, condition in space.conditions.items():
        if not isinstance(condition, Condition):
            raise UserError(
                f"Space {space.name!r} needs a Condition for {path!r}, but got {condition!r}."
            )
    check_strategy(space.strategy, "A space's strategy")
    if space.pruner not in PRUNERS:
        raise UserError(
            f"No pruner named {space.pruner!r}{did_you_mean(str(space.pruner), PRUNERS)}, as space "
            f"{space.name!r} requires; known: {', '.join(PRUNERS)}."
        )
    for name in ("replicates", "trials"):
        value = getattr(space, name)
        if value is not None and value > POINT_LIMIT:
            raise UserError(
                f"`{name} <= {POINT_LIMIT:,}` must hold in space {space.name!r}, but got {value}."
            )


def _check_variants(space: SpaceDefinition) -> None:
    if not space.domains:
        raise UserError(f"Space {space.name!r} searches nothing; give it a domain.")
    if (space.variant is None) != (VARIANT in space.domains):
        raise UserError(
            f"Space {space.name!r} needs either `variant` or a domain for 'variant', not both."
        )
    if not isinstance(space.domains.get(VARIANT, Choice("")), Choice) or VARIANT in (
        space.conditions
    ):
        raise UserError(
            f"Space {space.name!r} must search 'variant' by a Choice of names and without a "
            "condition: the other parameters depend on it."
        )
    for variant in variants_of(space):
        check_variant(variant)


def _check_names(space: SpaceDefinition) -> None:
    space_fields = [*fields_of_any(variants_of(space)), VARIANT]
    all_fields = [*fields_of_any(ALL_VARIANTS), *space_fields]
    for path in (*space.domains, *space.overrides):
        if path not in all_fields:
            raise UserError(
                f"Space {space.name!r} names a field that no configuration has: "
                f"{path!r}{did_you_mean(path, space_fields) or did_you_mean(path, all_fields)}."
            )
    if "seed" in space.domains or "seed" in space.overrides:
        raise UserError(
            f"Space {space.name!r} must not set `seed`: replicates do; use `replicates` or --seeds."
        )
    overlap = set(space.domains) & set(space.overrides)
    if overlap:
        raise UserError(
            f"Space {space.name!r} both searches and fixes {sorted(overlap)}; drop one."
        )


def _check_activity(space: SpaceDefinition) -> None:
    """Raise UserError unless every variant that a parameter's conditions allow has that field."""
    for path in space.domains:
        active_variants = variants_with(space, path)
        if not active_variants:
            raise UserError(
                f"Space {space.name!r} never searches `{path}`: its conditions allow none of the "
                f"variants {', '.join(variants_of(space))}; correct them or drop it."
            )
        for variant in active_variants if path != VARIANT else ():
            if path not in fields_of(variant):
                raise UserError(
                    f"Space {space.name!r} searches `{path}` with {variant}, which has no such "
                    f"field{did_you_mean(path, fields_of(variant))}; give it a Condition on "
                    "'variant' that leaves out those without it."
                )
    for path in space.overrides:
        check_override(space, path)
    for path, condition in space.conditions.items():
        parent = space.domains[condition.parent]
        if isinstance(parent, Choice) and not any(map(condition.allows, parent.values)):
            raise UserError(
                f"The condition on {path!r} in space {space.name!r} must allow a value that "
                f"{condition.parent!r} takes ({', '.join(map(repr, parent.values))}), but allows "
                f"{condition.allowed!r}."
            )


def _check_types(space: SpaceDefinition) -> None:
    for path, domain in space.domains.items():
        if path == VARIANT or isinstance(domain, RelativeDomain):
            continue
        for variant in variants_with(space, path):
            for value in sampled_domain(domain).corners():
                serialization.check_type(fields_of(variant)[path], value, path)
    for path, value in space.overrides.items():
        for variant in variants_of(space):
            if path in fields_of(variant):
                serialization.check_type(fields_of(variant)[path], value, path)


def _check_strategy(space: SpaceDefinition) -> None:
    if space.strategy != "grid" and (space.trials is None or space.trials < 1):
        raise UserError(
            f"Space {space.name!r} samples, so it needs `trials >= 1`, but got {space.trials}."
        )
    if space.replicates < 1:
        raise UserError(f"`replicates >= 1` must hold, but got {space.replicates}.")
    if space.equal_share and (
        space.strategy == "grid" or not any(is_searched(space, v) for v in variants_of(space))
    ):
        raise UserError(
            f"Space {space.name!r} shares its points equally among variants, so it needs a "
            "sampler and something to search; set equal_share=False."
        )


def _check_conditions(space: SpaceDefinition) -> None:
    for path, condition in space.conditions.items():
        if path not in space.domains:
            raise UserError(
                f"Space {space.name!r} has a condition on {path!r}, which it does not search"
                f"{did_you_mean(path, space.domains)}."
            )
        if condition.parent not in space.domains:
            raise UserError(
                f"The condition on {path!r} depends on {condition.parent!r}, which space "
                f"{space.name!r} does not search{did_you_mean(condition.parent, space.domains)}."
            )
    for path, domain in space.domains.items():
        if not isinstance(domain, RelativeDomain):
            continue
        if domain.path not in space.domains:
            raise UserError(
                f"{path!r} is relative to {domain.path!r}, which space {space.name!r} does not "
                f"search{did_you_mean(domain.path, space.domains)}."
            )
        base = space.domains[domain.path]
        if not all(map(is_number, sampled_domain(base).corners())):
            raise UserError(
                f"{path!r} is relative to {domain.path!r}, which must be a number, but space "
                f"{space.name!r} gives it {base!r}."
            )


def _accepts_none(hint: Any) -> bool:
    return type(None) in getattr(hint, "__args__", ())


def _has_part(tree: Mapping[str, Any], parents: list[str]) -> bool:
    node: Any = tree
    for parent in parents:
        node = node[parent]
        if node is None:
            return False
    return True
