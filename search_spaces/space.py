"""Search spaces: a question and the domains of its parameters, checked when constructed.

A typo in a path, a value of the wrong type or a corner that builds no valid configuration is
refused in milliseconds, not after hours of a study. Samplers are in `tune_runner.search`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, Self

from diffrec.config.base import ModelConfig
from diffrec.config.external import register
from diffrec.config.preset_choice import TargetDataset, shorten_interval
from diffrec.config.presets import FALLBACK_DATASET, preset_for
from diffrec.config.serialization import to_json
from diffrec.errors import UserError
from search_spaces import validation
from search_spaces.definition import (
    POINT_LIMIT,
    SEARCH_FIELDS,
    Condition,
    Params,
    SpaceDefinition,
)
from search_spaces.domains import PlainDomain, RelativeDomain, frozen, sampled_domain
from search_spaces.objectives import Objective
from search_spaces.reading import space_fields
from search_spaces.variants import VARIANT, fields_of, variants_of

__all__ = ["Condition", "Objective", "SearchSpace"]

_CORNERS = 256
"""Corners checked of a large space, and as many drawn at random; a smaller one is checked whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace(SpaceDefinition):
    """A checked search space, with its points, cells and configurations."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[a-z0-9_]{1,100}", self.name):
            raise UserError(
                f"A space's name is made of a-z, 0-9 and _, 100 at most, but got {self.name!r}; "
                "rename it."
            )
        if isinstance(self.variant, type):  # the configuration of a recommender from outside
            object.__setattr__(self, "variant", register(self.variant))
        for field in ("overrides", "control"):  # as JSON has them
            object.__setattr__(self, field, frozen(getattr(self, field)))
        validation.check_definition(self)
        if self.objectives:
            object.__setattr__(self, "objective", self.objectives[0])
        self._check_points()

    def _check_points(self) -> None:
        """Build the configurations at the corners, and look for the control among the cells."""
        corners = self.corner_points(_CORNERS)
        if len(corners) == _CORNERS:
            rng = Random(0)
            corners += [
                self.build_point(lambda _, domain: rng.choice(domain.corners()))
                for _ in range(_CORNERS)
            ]
        cells = self.cells() if self.strategy == "grid" else None
        self.check_corners(corners)
        if cells and self.control is not None and self.control not in map(frozen, cells):
            raise UserError(
                f"The control of space {self.name!r} must be one of its cells, "
                f"but got {dict(self.control)}."
            )

    def ordered_paths(self) -> list[str]:
        """Return the searched paths, each after the one it depends on."""
        return validation.order_paths(self.domains, self.conditions)

    def is_active(self, path: str, params: Mapping[str, Any]) -> bool:
        """Return True if `path` is active given the values chosen so far."""
        condition = self.conditions.get(path)
        if condition is None:
            return True
        return condition.parent in params and condition.allows(params[condition.parent])

    def build_point(self, draw: Callable[[str, PlainDomain], Any]) -> Params:
        """Build a point: `draw(path, domain)` is called for every active parameter, in order."""
        params: Params = {}
        for path in self.ordered_paths():
            if self._can_draw(path, params):
                params[path] = self._value(path, draw(path, self.sampled_domain(path)), params)
        return params

    def values_of(self, samples: Mapping[str, Any]) -> Params:
        """Return the parameters of a set of samples."""
        return self.build_point(lambda path, _: samples[path])

    def sampled_domain(self, path: str) -> PlainDomain:
        """Return the domain that is drawn from for `path`."""
        return sampled_domain(self.domains[path])

    def grid_samples(self) -> list[Params]:
        """Return the samples of every point of the grid; inactive parameters are left out.

        Raises:
            UserError: a domain is an interval, which no grid can exhaust, or there are too many.
        """
        for path in self.domains:
            if self.sampled_domain(path).grid() is None:
                raise UserError(
                    f"A grid needs finite domains, but `{path}` is an interval in space "
                    f"{self.name!r}; use a sampler (strategy='tpe' with trials=..., no "
                    "--sampler grid) or a Choice."
                )
        points = list(islice(self.tree(lambda domain: domain.grid() or ()), POINT_LIMIT + 1))
        if len(points) > POINT_LIMIT:
            raise UserError(
                f"The grid of space {self.name!r} must have at most {POINT_LIMIT:,} cells, but has "
                "more; take fewer values, or a sampler (strategy='tpe' with trials=...)."
            )
        return points

    def num_points(self) -> int | None:
        """Return the number of points; None if an interval, or too many values, make it endless."""
        try:
            return len(self.grid_samples())
        except UserError:
            return None

    def published_samples(self, dataset: TargetDataset | str, variant: str | None = None) -> Params:
        """Return the samples that give the preset of `variant` (or of the first) on a dataset.

        Raises:
            UserError: a published value lies outside its domain.
        """
        variant = variants_of(self)[0] if variant is None else variant
        published: Params = validation.flat_values(preset_for(variant, dataset).config)
        published[VARIANT] = variant

        def draw(path: str, sampled: PlainDomain) -> Any:
            domain, value = self.domains[path], published[path]
            if isinstance(domain, RelativeDomain):
                value = domain.factor_of(published[domain.path], value)
            if value not in sampled:
                name = dataset if isinstance(dataset, str) else dataset.name
                raise UserError(
                    f"Space {self.name!r} starts from the published configuration, but `{path}` = "
                    f"{published[path]} of {variant} on {name} lies outside its domain; widen "
                    "the domain or set start_published=False."
                )
            return value

        samples: Params = {}
        self.build_point(lambda path, sampled: samples.setdefault(path, draw(path, sampled)))
        return samples

    def cells(self) -> list[Params]:
        """Return the parameters of every point of the grid."""
        return [self.values_of(samples) for samples in self.grid_samples()]

    def grid_points(self, seeds: Sequence[int]) -> list[tuple[Params, int]]:
        """Return every cell with every seed, all cells of the first seed first."""
        cells = self.cells()
        return [(dict(cell), seed) for seed in seeds for cell in cells]

    def tree(self, options: Callable[[PlainDomain], Sequence[Any]]) -> Iterator[Params]:
        """Yield all combinations of `options(domain)`, branching only where a path is active.

        A sample is the value itself or, for a relative domain, its factor: see `values_of`.
        """
        paths = self.ordered_paths()

        def grow(depth: int, samples: Params, params: Params) -> Iterator[Params]:
            if depth == len(paths):
                yield samples
                return
            path = paths[depth]
            if not self._can_draw(path, params):
                yield from grow(depth + 1, samples, params)
                return
            for sample in options(self.sampled_domain(path)):
                value = self._value(path, sample, params)
                yield from grow(depth + 1, {**samples, path: sample}, {**params, path: value})

        return grow(0, {}, {})

    def resolve(
        self,
        params: Mapping[str, Any],
        dataset: TargetDataset | str,
        *,
        seed: int = 1,
        overrides: Mapping[str, Any] | None = None,
    ) -> ModelConfig:
        """Return the whole configuration of a point: its preset, overrides, the point.

        An override acts on the variants that have such a field.

        Args:
            params: the point.
            dataset: its name, or its name and size, by which a preset is chosen for one of the
                user's own (`diffrec.config.presets.preset`).
            seed: of the trial.
            overrides: further fixed values; they come before the space's own.

        Raises:
            UserError: the values do not fit together, or an override would change no trial.
        """
        variant = self.base_variant(params)
        base = preset_for(variant, dataset).config
        for path in overrides or {}:
            validation.check_override(self, path)
        fixed = {**self.overrides, **(overrides or {})}
        values = {path: value for path, value in fixed.items() if path in fields_of(variant)}
        values |= {path: value for path, value in params.items() if path != VARIANT}
        values |= shorten_interval(base, values)
        values["seed"] = seed
        inactive = [path for path in self.domains if path not in params and path != VARIANT]
        values |= dict.fromkeys(validation.unset_paths(inactive, base), None)
        return base.replace_values(values)

    def one_point_per_variant(self) -> list[Params]:
        """Return a point of every variant, at a corner of the space."""

        def first(variant: str) -> Params:
            return self.build_point(
                lambda path, domain: variant if path == VARIANT else domain.corners()[0]
            )

        return [first(variant) for variant in variants_of(self)]

    def base_variant(self, params: Mapping[str, Any]) -> str:
        """Return the published configuration that a point starts from."""
        return str(params.get(VARIANT, self.variant))

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON values, which `from_dict` reads; equal ones are one space."""
        return {
            "name": self.name,
            "question": self.question,
            "variant": self.variant,
            "domains": {path: domain.to_dict() for path, domain in self.domains.items()},
            "conditions": {path: c.to_dict() for path, c in self.conditions.items()},
            "overrides": {path: to_json(value) for path, value in self.overrides.items()},
            "objective": self.objective.to_dict(),
            "objectives": [objective.to_dict() for objective in self.objectives],
            "constraint": self.constraint,
            "control": None
            if self.control is None
            else {path: to_json(value) for path, value in self.control.items()},
            **{name: getattr(self, name) for name in SEARCH_FIELDS},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a space from what `to_dict` wrote, or from a JSON or YAML file's content.

        Raises:
            UserError: a key is unknown or missing, or a value breaks a rule.
        """
        return cls(**space_fields(values))

    def corner_points(self, limit: int) -> list[Params]:
        """Return points at the corners of the space: all, or `limit` of a large one's."""
        samples = islice(self.tree(lambda domain: domain.corners()), limit)
        return [self.values_of(sample) for sample in samples]

    def check_corners(self, points: Sequence[Params], dataset: str = FALLBACK_DATASET) -> None:
        """Build the configuration of each point; raise the first error with its point."""
        for params in points:
            try:
                self.resolve(params, dataset)
            except UserError as error:
                raise UserError(f"Space {self.name!r} cannot build {params}: {error}") from None

    def _can_draw(self, path: str, params: Mapping[str, Any]) -> bool:
        domain = self.domains[path]
        has_base = not isinstance(domain, RelativeDomain) or domain.path in params
        return has_base and self.is_active(path, params)

    def _value(self, path: str, sample: Any, params: Mapping[str, Any]) -> Any:
        domain = self.domains[path]
        if isinstance(domain, RelativeDomain):
            return domain.value(params[domain.path], sample)
        return sample
