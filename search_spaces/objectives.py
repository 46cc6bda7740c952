"""Metrics, objectives and the constraint of a study, and the rule that gives its answer."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from diffrec.errors import UserError, did_you_mean

METRICS = (
    *(
        f"valid/{metric}@{k}"
        for metric in ("recall", "ndcg", "precision", "mrr")
        for k in (10, 20, 50, 100)
    ),
    *(
        f"valid/{metric}@{k}"
        for metric in (
            *("coverage", "gini", "arp", "aplt", "novelty", "ild"),
            *("recall_short", "recall_middle", "recall_long"),
        )
        for k in (10, 20)
    ),
)
"""Validation metrics of every trial, as `diffrec.evaluation.metrics.user_metrics` and
`diffrec.evaluation.beyond_accuracy` make them (which this package does not import, since they need
torch)."""

LESS_IS_BETTER = ("gini", "arp")
"""Metrics whose smallest value is the best; of all others more is better."""

NEED_EMBEDDINGS = ("ild",)
"""Metrics that only a dataset with item embeddings has."""

Direction = Literal["maximize", "minimize"]


def best_direction(metric: str) -> Direction:
    """Return which way a metric is better, by its name (`valid/gini@20`)."""
    return "minimize" if short_name(metric) in LESS_IS_BETTER else "maximize"


def short_name(metric: str) -> str:
    """Return a metric's name without split and cut-off: `gini` of `valid/gini@20`."""
    return metric.rpartition("/")[2].partition("@")[0]


@dataclass(frozen=True, slots=True)
class Objective:
    """A validation metric that a study selects by."""

    name: str = "valid/recall@20"
    direction: Direction = ""  # pyright: ignore[reportAssignmentType] - set below
    """Way that is better: the metric's own, whatever is left out."""

    def __post_init__(self) -> None:
        if self.name not in METRICS:
            raise UserError(
                f"An objective must be a validation metric, but got {self.name!r}"
                f"{did_you_mean(str(self.name), METRICS)}; known: {', '.join(METRICS)}."
            )
        own = best_direction(self.name)
        if self.direction == "":
            object.__setattr__(self, "direction", own)
        elif self.direction not in ("maximize", "minimize"):
            raise UserError(
                f"An objective's direction is 'maximize' or 'minimize', but got {self.direction!r}."
            )
        elif self.direction != own:
            which = "less" if own == "minimize" else "more"
            raise UserError(
                f"Of `{self.name}` {which} is better, but its direction is {self.direction!r}; "
                "leave it out."
            )

    def is_better(self, value: float, than: float) -> bool:
        """Return whether `value` is strictly better than another one."""
        return self.sort_key(value) < self.sort_key(than)

    def sort_key(self, value: float) -> float:
        """Return a key by which the best value comes first."""
        return -value if self.direction == "maximize" else value

    def to_dict(self) -> dict[str, str]:
        """Return the objective as JSON values."""
        return {"name": self.name, "direction": self.direction}


DEFAULT_OBJECTIVE = Objective()

_WITHIN = re.compile(r"(\S+) within (\d+(?:\.\d+)?) ?% of the best")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A metric that must not fall behind the best result of the study by more than a share."""

    metric: Objective
    share: float
    """Share of the best value that may be lost, 0.01 for one per cent."""

    @classmethod
    def parse(cls, text: object) -> Self:
        """Return the constraint that a text such as "valid/recall@20 within 1 % of the best" is.

        Raises:
            UserError: it is not of this form, names no validation metric, or leaves nothing out.
        """
        found = _WITHIN.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise UserError(
                "A constraint has the form 'valid/recall@20 within 1 % of the best', but got "
                f"{text!r}; write it so."
            )
        share = float(found[2]) / 100
        if share >= 1:
            raise UserError(
                f"A constraint allows less than 100 % of the best, but got {text!r}; give a "
                "smaller share."
            )
        return cls(Objective(found[1]), share)

    def violation(self, value: float, best: float) -> float:
        """Return by how much `value` misses the bound, as a share of the best; 0 or less: not.

        Args:
            value: of the metric.
            best: the best value of the study so far.
        """
        lost = best - value if self.metric.direction == "maximize" else value - best
        scale = abs(best)
        # a best value of zero allows nothing but itself
        return lost / scale - self.share if scale else (lost if lost > 0 else -self.share)

    def best(self, values: Sequence[float]) -> float:
        """Return the best of some values, at least one."""
        return min(values, key=self.metric.sort_key)


class Scores(NamedTuple):
    """Result of a trial, or the means of a point's trials, as a study judges it."""

    values: tuple[float, ...]
    """Value of each objective."""

    constrained: float | None = None
    """Value of the metric of the constraint, if there is one."""


@dataclass(frozen=True, slots=True)
class Goals:
    """Objectives and constraint of a study; the rule that says which results are its answer."""

    objectives: tuple[Objective, ...]
    constraint: Constraint | None = None

    @classmethod
    def of_space(cls, values: Mapping[str, Any]) -> Self:
        """Return the goals of a space that was written as JSON values (`SearchSpace.to_dict`).

        Raises:
            UserError: they are not what a space writes.
        """
        written: Any = values.get("objectives") or [values.get("objective")]
        if not isinstance(written, list) or not all(isinstance(one, Mapping) for one in written):
            raise UserError(f"Objectives must be a list of objects, but got {written!r:.60}.")
        objectives = [Objective(one.get("name", ""), one.get("direction", "")) for one in written]
        constraint = values.get("constraint")
        return cls(tuple(objectives), None if constraint is None else Constraint.parse(constraint))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Validation metrics that a trial needs to be judged, each once."""
        limited = () if self.constraint is None else (self.constraint.metric,)
        return tuple(dict.fromkeys(o.name for o in (*self.objectives, *limited)))

    @property
    def is_plain(self) -> bool:
        """True with one objective and no constraint: one trial is the best."""
        return len(self.objectives) == 1 and self.constraint is None

    def scores(self, values: Mapping[str, float]) -> Scores:
        """Return the scores of a result by metric; NaN where it lacks one."""
        limited = None if self.constraint is None else self.constraint.metric.name
        return Scores(
            tuple(values.get(objective.name, math.nan) for objective in self.objectives),
            None if limited is None else values.get(limited, math.nan),
        )

    def violations(self, results: Sequence[Scores]) -> list[float]:
        """Return the violation of each result, judged against the best of all; 0 without one."""
        if self.constraint is None or not results:
            return [0.0] * len(results)
        values = [_known(scores.constrained) for scores in results]
        best = self.constraint.best(values)
        return [self.constraint.violation(value, best) for value in values]

    def answer(self, results: Sequence[Scores]) -> list[int]:
        """Return the indices of the study's answer, by the first objective, the best first.

        With one objective that is the best feasible result; with several all feasible results that
        no feasible one dominates (Pareto front). Of equal ones only the first counts, or the one
        that is ahead in the metric of the constraint.
        """
        return self._front(results, len(self.objectives))

    def candidates(self, results: Sequence[Scores]) -> list[int]:
        """Return the indices of those that may be in the answer once more results are known.

        The best value of a constraint's metric can still rise, so results that are ahead in that
        metric count, too.
        """
        return self._front(results, len(self.objectives) + (self.constraint is not None))

    def _front(self, results: Sequence[Scores], size: int) -> list[int]:
        """Return the feasible results that no other one dominates in the first `size` metrics."""
        keys = {
            i: self.sort_key(results[i])
            for i, over in enumerate(self.violations(results))
            if over <= 0
        }
        front: list[int] = []
        # sorted by all keys, a result can be dominated by an earlier one only
        for i in sorted(keys, key=lambda i: (keys[i], i)):
            ours = keys[i][:size]
            if not any(all(a <= b for a, b in zip(keys[j], ours, strict=False)) for j in front):
                front.append(i)
        return front

    def sort_key(self, scores: Scores) -> tuple[float, ...]:
        """Return a key by which the best result in the first objective comes first.

        Equal ones are told apart by the other objectives and, last, by the constraint's metric.
        """
        keys = [o.sort_key(v) for o, v in zip(self.objectives, scores.values, strict=True)]
        if self.constraint is not None:
            keys.append(self.constraint.metric.sort_key(_known(scores.constrained)))
        return tuple(keys)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
