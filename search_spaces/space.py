"""A search space: a question, and the values that may answer it. Data, checked when it is made.

A typo in a path, a value of the wrong type or a corner that builds no valid configuration is
refused in milliseconds, not in hour three of a study. Engines live in `tune_runner`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from diffrec.config import RecommenderConfig
from diffrec.errors import UserError
from diffrec.presets import FALLBACK_DATASET, preset
from search_spaces import checks
from search_spaces.domains import Domain, PlainDomain, RelativeDomain, drawn_domain

Strategy = Literal["grid", "tpe", "random"]
Params = dict[str, Any]
VARIANT = "variant"
"""The one searchable name that is no field: which published configuration is the base."""


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
    """Fixed changes to the published configuration."""

    objective: Objective = Objective()
    replicates: int = 1
    """Seeds that every cell (or sampled point) is run with, unless the user says otherwise."""

    strategy: Strategy = "grid"
    """`grid` runs every cell, `tpe` and `random` sample points."""

    trials: int | None = None
    """Points to sample; None for a grid."""

    pruner: str = "none"
    """Default pruner; a comparison must not prune (see clustering_ablation)."""

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
            domain = self.domains[path]
            if not self.is_active(path, params) or not self._has_base(domain, params):
                continue
            drawn = draw(path, drawn_domain(domain))
            relative = isinstance(domain, RelativeDomain)
            params[path] = domain.value(params[domain.path], drawn) if relative else drawn
        return params

    def cells(self) -> list[Params]:
        """Return every point of the grid, a parameter without meaning left out.

        Raises:
            UserError: a domain is an interval, which no grid can exhaust.
        """
        for path, domain in self.domains.items():
            if drawn_domain(domain).grid() is None:
                raise UserError(
                    f"A grid needs finite domains, but `{path}` is an interval in space "
                    f"{self.name!r}; use --sampler tpe or a Choice."
                )
        return list(self.tree(lambda domain: domain.grid() or ()))

    def grid_points(self, seeds: Sequence[int]) -> list[tuple[Params, int]]:
        """Return every cell with every seed, all cells of the first seed first."""
        cells = self.cells()
        return [(dict(cell), seed) for seed in seeds for cell in cells]

    def tree(self, options: Callable[[PlainDomain], Sequence[Any]]) -> Iterator[Params]:
        """Yield the points made of `options(domain)`, branching only where a path is active."""
        paths = self.ordered_paths()

        def grow(depth: int, params: Params) -> Iterator[Params]:
            if depth == len(paths):
                yield params
                return
            path = paths[depth]
            domain = self.domains[path]
            if not self.is_active(path, params) or not self._has_base(domain, params):
                yield from grow(depth + 1, params)
                return
            for drawn in options(drawn_domain(domain)):
                relative = isinstance(domain, RelativeDomain)
                value = domain.value(params[domain.path], drawn) if relative else drawn
                yield from grow(depth + 1, {**params, path: value})

        return grow(0, {})

    def resolve(
        self,
        params: Mapping[str, Any],
        dataset: str,
        *,
        seed: int = 1,
        overrides: Mapping[str, Any] | None = None,
    ) -> RecommenderConfig:
        """Return the whole configuration of a point: published values, overrides, the point.

        Raises:
            UserError: the values do not fit together.
        """
        base = preset(self.base_variant(params), dataset).config
        values = {**self.overrides, **(overrides or {}), **params, "seed": seed}
        values.pop(VARIANT, None)
        inactive = [path for path in self.domains if path not in params and path != VARIANT]
        values |= dict.fromkeys(checks.unset_paths(inactive, base), None)
        return base.replace_values(values)

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
        return list(islice(self.tree(lambda domain: domain.corners()), limit))

    def check_corners(self, points: Sequence[Params], dataset: str = FALLBACK_DATASET) -> None:
        """Build the configuration of each point; raise the first fault with its point."""
        for params in points:
            try:
                self.resolve(params, dataset)
            except UserError as error:
                raise UserError(f"Space {self.name!r} cannot build {params}: {error}") from None

    def _has_base(self, domain: Domain, params: Mapping[str, Any]) -> bool:
        return not isinstance(domain, RelativeDomain) or domain.path in params
