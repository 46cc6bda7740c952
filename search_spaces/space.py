"""A search space: a question, and the values that may answer it. Data, checked when it is made.

A typo in a path, a value of the wrong type or a corner that builds no valid configuration is
refused in milliseconds, not in hour three of a study. Engines live in `tune_runner`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from diffrec.errors import UserError
from diffrec.families import AnyConfig
from diffrec.presets import FALLBACK_DATASET, preset
from search_spaces import checks
from search_spaces.domains import Domain, PlainDomain, RelativeDomain, drawn_domain
from search_spaces.reach import VARIANT, fields_of, variants_of

Strategy = Literal["grid", "tpe", "random"]
Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Objective:
    """The validation metric that a study selects by."""

    name: str = "valid/recall@20"
    direction: Literal["maximize", "minimize"] = "maximize"

    def __post_init__(self) -> None:
        if not self.name.startswith("valid/"):
            raise UserError(
                f"An objective must be a validation metric, but got {self.name!r}; "
                "choose one such as 'valid/recall@20'."
            )
        if self.direction not in ("maximize", "minimize"):
            raise UserError(
                f"An objective's direction is 'maximize' or 'minimize', but got {self.direction!r}."
            )


@dataclass(frozen=True, slots=True)
class Condition:
    """A parameter has a meaning only while `parent` takes one of `allowed` (a tuple or domain)."""

    parent: str
    allowed: tuple[Any, ...] | PlainDomain

    def to_dict(self) -> dict[str, Any]:
        """Return the condition as JSON values."""
        given = self.allowed
        allowed = list(given) if isinstance(given, tuple) else given.to_dict()
        return {"parent": self.parent, "allowed": allowed}


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """What is varied, what stays, what is asked, and how the answer is searched for."""

    name: str
    """Identifier: lower case, digits, underscores."""

    question: str
    """What the study answers, as a sentence."""

    domains: Mapping[str, Domain]
    """Dotted configuration path (or "variant") to the values that it may take."""

    variant: str | None = None
    """Published configuration to start from; None exactly when "variant" is searched."""

    conditions: Mapping[str, Condition] = field(default_factory=dict)
    """Path to the condition under which it is searched at all; otherwise it is None."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fixed changes to the published configuration, of every variant that has such a field."""

    objective: Objective = Objective()
    replicates: int = 1
    """Seeds that every cell (or sampled point) is run with, unless the user says otherwise."""

    strategy: Strategy = "grid"
    """`grid` runs every cell, `tpe` and `random` sample points."""

    trials: int | None = None
    """Points to sample; None for a grid."""

    pruner: str = "none"
    """Default pruner; a comparison must not prune (see clustering_ablation)."""

    start_published: bool = False
    """Try the published configuration first: whatever is found is compared with what was known."""

    equal_share: bool = False
    """Sample as many points of every variant, one of those with nothing to search.

    Left alone, a sampler gives up the weaker variants early and leaves them badly tuned.
    """

    control: Mapping[str, Any] | None = None
    """The cell that all others are compared with, if there is one."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            raise UserError(
                f"A space's name is made of a-z, 0-9 and _, but got {self.name!r}; rename it."
            )
        checks.check_space(self)

    def ordered_paths(self) -> list[str]:
        """Return the searched paths, each after the one it depends on."""
        return checks.order_paths(self.domains, self.conditions)

    def is_active(self, path: str, params: Mapping[str, Any]) -> bool:
        """Say whether `path` has a meaning beside the values chosen so far."""
        condition = self.conditions.get(path)
        if condition is None:
            return True
        return condition.parent in params and params[condition.parent] in condition.allowed

    def assemble(self, draw: Callable[[str, PlainDomain], Any]) -> Params:
        """Choose a point: `draw(path, domain)` is asked for every active parameter, in order."""
        params: Params = {}
        for path in self.ordered_paths():
            if self._can_draw(path, params):
                params[path] = self._value(path, draw(path, self.drawn(path)), params)
        return params

    def values_of(self, draws: Mapping[str, Any]) -> Params:
        """Return the parameters that a set of draws stands for."""
        return self.assemble(lambda path, _: draws[path])

    def drawn(self, path: str) -> PlainDomain:
        """Return the domain that is drawn from for `path`."""
        return drawn_domain(self.domains[path])

    def grid_draws(self) -> list[Params]:
        """Return the draws of every point of the grid; what has no meaning is left out.

        Raises:
            UserError: a domain is an interval, which no grid can exhaust.
        """
        for path in self.domains:
            if self.drawn(path).grid() is None:
                raise UserError(
                    f"A grid needs finite domains, but `{path}` is an interval in space "
                    f"{self.name!r}; use --sampler tpe or a Choice."
                )
        return list(self.tree(lambda domain: domain.grid() or ()))

    def published_draws(self, dataset: str, variant: str | None = None) -> Params:
        """Return the draws that give the published configuration of `variant` (or of the first).

        Raises:
            UserError: a published value lies outside its domain.
        """
        variant = variants_of(self)[0] if variant is None else variant
        published: Params = checks.flat_values(preset(variant, dataset).config)
        published[VARIANT] = variant

        def draw(path: str, drawn: PlainDomain) -> Any:
            domain, value = self.domains[path], published[path]
            if isinstance(domain, RelativeDomain):
                value = domain.factor_of(published[domain.path], value)
            if value not in drawn:
                raise UserError(
                    f"Space {self.name!r} starts from the published configuration, but `{path}` = "
                    f"{published[path]} of {variant} on {dataset} lies outside its domain; widen "
                    "the domain or set start_published=False."
                )
            return value

        draws: Params = {}
        self.assemble(lambda path, drawn: draws.setdefault(path, draw(path, drawn)))
        return draws

    def cells(self) -> list[Params]:
        """Return the parameters of every point of the grid."""
        return [self.values_of(draws) for draws in self.grid_draws()]

    def grid_points(self, seeds: Sequence[int]) -> list[tuple[Params, int]]:
        """Return every cell with every seed, all cells of the first seed first."""
        cells = self.cells()
        return [(dict(cell), seed) for seed in seeds for cell in cells]

    def tree(self, options: Callable[[PlainDomain], Sequence[Any]]) -> Iterator[Params]:
        """Yield what may be drawn from `options(domain)`, branching only where a path is active.

        A draw is the value itself or, of a relative domain, its factor: see `values_of`.
        """
        paths = self.ordered_paths()

        def grow(depth: int, draws: Params, params: Params) -> Iterator[Params]:
            if depth == len(paths):
                yield draws
                return
            path = paths[depth]
            if not self._can_draw(path, params):
                yield from grow(depth + 1, draws, params)
                return
            for drawn in options(self.drawn(path)):
                value = self._value(path, drawn, params)
                yield from grow(depth + 1, {**draws, path: drawn}, {**params, path: value})

        return grow(0, {}, {})

    def resolve(
        self,
        params: Mapping[str, Any],
        dataset: str,
        *,
        seed: int = 1,
        overrides: Mapping[str, Any] | None = None,
    ) -> AnyConfig:
        """Return the whole configuration of a point: published values, overrides, the point.

        An override acts on the variants that have such a field.

        Raises:
            UserError: the values do not fit together, or an override would change no trial.
        """
        variant = self.base_variant(params)
        base = preset(variant, dataset).config
        for path in overrides or {}:
            checks.check_override(self, path)
        fixed = {**self.overrides, **(overrides or {})}
        values = {path: value for path, value in fixed.items() if path in fields_of(variant)}
        values |= {path: value for path, value in params.items() if path != VARIANT}
        values["seed"] = seed
        inactive = [path for path in self.domains if path not in params and path != VARIANT]
        values |= dict.fromkeys(checks.unset_paths(inactive, base), None)
        return base.replace_values(values)

    def one_of_each(self) -> list[Params]:
        """Return a point of every variant, at a corner of the space."""

        def first(variant: str) -> Params:
            return self.assemble(
                lambda path, domain: variant if path == VARIANT else domain.corners()[0]
            )

        return [first(variant) for variant in variants_of(self)]

    def base_variant(self, params: Mapping[str, Any]) -> str:
        """Return the published configuration that a point starts from."""
        return str(params.get(VARIANT, self.variant))

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON values; two spaces are the same if these are."""
        return {
            "name": self.name,
            "question": self.question,
            "variant": self.variant,
            "domains": {path: domain.to_dict() for path, domain in self.domains.items()},
            "conditions": {path: c.to_dict() for path, c in self.conditions.items()},
            "overrides": {path: checks.plain(value) for path, value in self.overrides.items()},
            "objective": {"name": self.objective.name, "direction": self.objective.direction},
            "control": None if self.control is None else dict(self.control),
        }

    def corner_points(self, limit: int) -> list[Params]:
        """Return points at the corners of the space: all, or `limit` of a large one's."""
        draws = islice(self.tree(lambda domain: domain.corners()), limit)
        return [self.values_of(d) for d in draws]

    def check_corners(self, points: Sequence[Params], dataset: str = FALLBACK_DATASET) -> None:
        """Build the configuration of each point; raise the first fault with its point."""
        for params in points:
            try:
                self.resolve(params, dataset)
            except UserError as error:
                raise UserError(f"Space {self.name!r} cannot build {params}: {error}") from None

    def _can_draw(self, path: str, params: Mapping[str, Any]) -> bool:
        domain = self.domains[path]
        has_base = not isinstance(domain, RelativeDomain) or domain.path in params
        return has_base and self.is_active(path, params)

    def _value(self, path: str, drawn: Any, params: Mapping[str, Any]) -> Any:
        domain = self.domains[path]
        if isinstance(domain, RelativeDomain):
            return domain.value(params[domain.path], drawn)
        return drawn
