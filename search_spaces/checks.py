"""What a search space must fulfil before anything runs; each fault is one sentence."""

from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from diffrec import fields
from diffrec.config import RecommenderConfig, field_paths
from diffrec.errors import UserError, nearest
from diffrec.presets import VARIANTS
from search_spaces.domains import Domain, RelativeDomain, drawn_domain

if TYPE_CHECKING:
    from search_spaces.space import Condition, SearchSpace

_CORNERS = 256
"""Corners built of a large space, and as many drawn at random; a smaller one is built whole."""


def check_space(space: "SearchSpace") -> None:
    """Raise UserError for the first rule that `space` breaks."""
    _check_paths(space)
    _check_types(space)
    _check_conditions(space)
    _check_strategy(space)
    corners = space.corner_points(_CORNERS)
    if len(corners) == _CORNERS:
        rng = Random(0)
        corners += [
            space.assemble(lambda _, domain: rng.choice(domain.corners())) for _ in range(_CORNERS)
        ]
    space.check_corners(corners)
    grid = space.strategy == "grid"
    if grid and space.control is not None and dict(space.control) not in space.cells():
        raise UserError(
            f"The control of space {space.name!r} must be one of its cells, "
            f"but got {dict(space.control)}."
        )


def order_paths(domains: Mapping[str, Domain], conditions: Mapping[str, "Condition"]) -> list[str]:
    """Return the paths of `domains`, each after those it depends on, otherwise as given."""
    ordered: list[str] = []

    def visit(path: str, trail: tuple[str, ...]) -> None:
        if path in ordered:
            return
        if path in trail:
            raise UserError(f"Parameters depend on each other in a circle: {' -> '.join(trail)}.")
        for needed in _needs(path, domains, conditions):
            visit(needed, (*trail, path))
        ordered.append(path)

    for path in domains:
        visit(path, ())
    return ordered


def unset_paths(paths: Iterable[str], base: RecommenderConfig) -> list[str]:
    """Return those of `paths` that `base` has and that may be None: they lost their meaning."""
    known = field_paths()
    tree = base.to_dict()
    return [
        path
        for path in paths
        if _accepts_none(known[path]) and _has_part(tree, path.split(".")[:-1])
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


def plain(value: Any) -> Any:
    """Return a value as JSON would give it back."""
    return [plain(v) for v in value] if isinstance(value, tuple | list) else value


def _needs(
    path: str, domains: Mapping[str, Domain], conditions: Mapping[str, "Condition"]
) -> list[str]:
    domain = domains[path]
    base = [domain.path] if isinstance(domain, RelativeDomain) else []
    return base + ([conditions[path].parent] if path in conditions else [])


def _check_paths(space: "SearchSpace") -> None:
    known = [*field_paths(), "variant"]
    for path in (*space.domains, *space.overrides):
        if path not in known:
            raise UserError(
                f"Space {space.name!r} names a field that no configuration has: "
                f"{path!r}{nearest(path, known)}."
            )
    if "seed" in space.domains or "seed" in space.overrides:
        raise UserError(
            f"Space {space.name!r} must not set `seed`: replicates do; use `replicates` or --seeds."
        )
    twice = set(space.domains) & set(space.overrides)
    if twice:
        raise UserError(f"Space {space.name!r} both searches and fixes {sorted(twice)}; drop one.")
    if not space.domains:
        raise UserError(f"Space {space.name!r} searches nothing; give it a domain.")
    if (space.variant is None) != ("variant" in space.domains):
        raise UserError(
            f"Space {space.name!r} needs either `variant` or a domain for 'variant', not both."
        )
    if space.variant is not None and space.variant not in VARIANTS:
        raise UserError(
            f"No variant named {space.variant!r}{nearest(space.variant, VARIANTS)}; "
            f"known: {', '.join(VARIANTS)}."
        )


def _check_types(space: "SearchSpace") -> None:
    known = field_paths()
    for path, domain in space.domains.items():
        if path == "variant" or isinstance(domain, RelativeDomain):
            continue
        for value in drawn_domain(domain).corners():
            fields.check_type(known[path], value, path)
    for path, value in space.overrides.items():
        fields.check_type(known[path], value, path)


def _check_strategy(space: "SearchSpace") -> None:
    if space.strategy not in ("grid", "tpe", "random"):
        raise UserError(f"A space's strategy is grid, tpe or random, but got {space.strategy!r}.")
    if space.strategy == "grid":
        space.cells()
    elif space.trials is None or space.trials < 1:
        raise UserError(
            f"Space {space.name!r} samples, so it needs `trials >= 1`, but got {space.trials}."
        )
    if space.replicates < 1:
        raise UserError(f"`replicates >= 1` must hold, but got {space.replicates}.")


def _check_conditions(space: "SearchSpace") -> None:
    for path, condition in space.conditions.items():
        if path not in space.domains:
            raise UserError(
                f"Space {space.name!r} has a condition on {path!r}, which it does not search"
                f"{nearest(path, space.domains)}."
            )
        if condition.parent not in space.domains:
            raise UserError(
                f"The condition on {path!r} hangs on {condition.parent!r}, which space "
                f"{space.name!r} does not search{nearest(condition.parent, space.domains)}."
            )
    for path, domain in space.domains.items():
        if isinstance(domain, RelativeDomain) and domain.path not in space.domains:
            raise UserError(
                f"{path!r} is relative to {domain.path!r}, which space {space.name!r} does not "
                f"search{nearest(domain.path, space.domains)}."
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
