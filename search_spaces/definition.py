"""The fields of a search space: its question, domains, conditions and objective. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from diffrec.errors import UserError
from search_spaces.domains import Domain, PlainDomain

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
class SpaceDefinition:
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
