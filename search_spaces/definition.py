"""The fields of a search space: its question, domains, conditions and objective. Data only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diffrec.config.external import ExternalConfig
from diffrec.errors import UserError, did_you_mean
from search_spaces.domains import Domain, PlainDomain, frozen
from search_spaces.objectives import DEFAULT_OBJECTIVE, Constraint, Goals, Objective

STRATEGIES = (
    "grid",
    "random",
    "tpe",
    "tpe-multivariate",
    "tpe-grouped",
    "tpe-hierarchical",
    "gp",
    "cmaes",
    "qmc",
)
"""Ways to search by name; a sampler of one's own is given as `module:Class`."""

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_import_path(name: str) -> bool:
    """Return whether `name` has the form `module:Class`."""
    return _IMPORT_PATH.fullmatch(name) is not None


def check_strategy(name: object, what: str) -> None:
    """Refuse what is neither the name of a sampler nor an import path.

    Args:
        name: as the user gave it.
        what: begins the sentence, such as "--sampler".

    Raises:
        UserError: it is neither.
    """
    if not isinstance(name, str) or not (name in STRATEGIES or is_import_path(name)):
        raise UserError(
            f"{what} is {', '.join(STRATEGIES)}, or module:Class of one's own, but got {name!r}"
            f"{did_you_mean(str(name), STRATEGIES)}."
        )


PRUNERS = (
    "median",
    "hyperband",
    "successive-halving",
    "percentile",
    "patient",
    "extrapolation",
    "none",
)

POINT_LIMIT = 100_000
"""Cells of a grid, seeds of a point and trials of a study at most: Optuna keeps every trial in
memory, and a study of so many would run for years."""

SEARCH_FIELDS = ("replicates", "strategy", "trials", "pruner", "start_published", "equal_share")
"""Fields that say how a space is searched; a study has them in its own plan."""

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """A parameter is active only while `parent` takes one of `allowed` (a tuple or domain)."""

    parent: str
    allowed: tuple[Any, ...] | PlainDomain

    def __post_init__(self) -> None:
        if not isinstance(self.parent, str):
            raise UserError(
                f"A condition's parent must be the path of a parameter, but got {self.parent!r}."
            )
        if not isinstance(self.allowed, tuple | PlainDomain) or self.allowed == ():
            raise UserError(
                f"A condition on {self.parent!r} must allow a tuple of values or a domain, but got "
                f"{self.allowed!r}; write ({self.allowed!r},) for one value."
            )
        object.__setattr__(self, "allowed", frozen(self.allowed))

    def allows(self, value: Any) -> bool:
        """Return whether the parameter is active at this value of `parent`."""
        return frozen(value) in self.allowed

    def to_dict(self) -> dict[str, Any]:
        """Return the condition as JSON values."""
        values = self.allowed
        allowed = list(values) if isinstance(values, tuple) else values.to_dict()
        return {"parent": self.parent, "allowed": allowed}


@dataclass(frozen=True, kw_only=True, slots=True)
class SpaceDefinition:
    """Fields of a search space: its question, its domains, its fixed values and its search."""

    name: str
    """Identifier: lower case, digits, underscores."""

    question: str
    """Question that the study answers, as a sentence."""

    domains: Mapping[str, Domain]
    """Dotted configuration path (or "variant") to the values that it may take."""

    variant: str | type[ExternalConfig] | None = None
    """Published configuration to start from, or the configuration class of a recommender from
    outside; None exactly when "variant" is searched."""

    conditions: Mapping[str, Condition] = field(default_factory=dict)
    """Condition under which each path is active; an inactive one is None."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Fixed changes to the published configuration, of every variant that has such a field."""

    objective: Objective = DEFAULT_OBJECTIVE
    objectives: tuple[Objective, ...] = ()
    """Two or three metrics to search by at once, none of which decides alone; `objective` is then
    the first of them. Empty: `objective` decides."""

    constraint: str | None = None
    """Condition on a metric that the result must meet, such as "valid/recall@20 within 1 % of the
    best"; None: there is none. What meets it is ranked by the objective."""

    replicates: int = 1
    """Seeds that every cell (or sampled point) is run with, unless the user says otherwise."""

    strategy: str = "grid"
    """`grid` runs every cell; any other of `--sampler` draws points."""

    trials: int | None = None
    """Points to sample; None for a grid."""

    pruner: str = "none"
    """Default pruner; a comparison must not prune (see clustering_ablation)."""

    start_published: bool = False
    """Try the published configuration first, so that results are compared with it."""

    equal_share: bool = False
    """Sample as many points of every variant, one of those with nothing to search.

    Otherwise a sampler soon neglects the weaker variants and leaves them badly tuned.
    """

    control: Mapping[str, Any] | None = None
    """Cell that all others are compared with, or None."""

    @property
    def goals(self) -> Goals:
        """Objectives and constraint of the study."""
        constraint = None if self.constraint is None else Constraint.parse(self.constraint)
        return Goals(self.objectives or (self.objective,), constraint)
