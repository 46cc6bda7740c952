"""Settings of the temporal weightings: how much each interaction of a history counts.

Three switches choose the vectors that are weighted, so a published variant and its opposite
(train on the plain history, query with the weighted one) differ in one line.
"""

from dataclasses import dataclass
from typing import Literal

from diffrec.config.rules import at_least, positive, require

Weighting = Literal[
    "none", "linear", "exponential", "learned_steps", "linear_learned_steps", "learned_recency"
]
STATIC_WEIGHTINGS: tuple[Weighting, ...] = ("none", "linear", "exponential")
"""Weightings whose weights are known before training."""

_NEEDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "linear": ("weight_min", "weight_max"),
    "exponential": ("half_life",),
    "learned_steps": ("ltw_learning_rate",),
    "linear_learned_steps": ("weight_min", "weight_max", "ltw_learning_rate"),
    "learned_recency": (
        "ltw_learning_rate",
        "future_items",
        "future_temperature",
        "future_users",
        "future_every",
    ),
}
_OPTIONAL = tuple(dict.fromkeys(name for names in _NEEDS.values() for name in names))


@dataclass(frozen=True, kw_only=True, slots=True)
class TemporalConfig:
    """Weights by an interaction's age (section 3.6), or learned from later interactions."""

    weighting: Weighting = "none"
    """`linear` is T-DiffRec's; `exponential` halves the weight every `half_life` items;
    `learned_steps` is the reproduction study's W over diffusion steps and remembered losses, as its
    text describes it: histories carry ones; `linear_learned_steps` is the same W on linear
    histories, as the study ran it; `learned_recency` learns a weight per age from the user's own
    next items."""

    weight_min: float | None = None
    """Linear: weight of the oldest interaction."""

    weight_max: float | None = None
    """Linear: weight of the newest interaction."""

    half_life: float | None = None
    """Exponential: age, in items, at which the weight is one half."""

    ltw_learning_rate: float | None = None
    """Learned: Adam's rate for W."""

    ltw_init: Literal["ones", "uniform"] = "ones"
    """Learned steps: W at the start, ones or drawn uniformly from [0, 1). Released: uniform."""

    ltw_parametrisation: Literal["exp", "raw"] = "exp"
    """Learned steps: W is exp of its parameter, so positive, or the parameter itself. Released:
    raw."""

    ltw_order: Literal["newest_first", "newest_last"] = "newest_first"
    """Learned steps: which column of W weighs the newest remembered loss. Released: the last."""

    future_items: int | None = None
    """Learned recency: number of next items that a cut history must predict."""

    future_temperature: float | None = None
    """Learned recency: factor on the scores, in units of their spread over the items, before their
    softmax."""

    future_users: int | None = None
    """Learned recency: how many users' histories are cut at each update of W."""

    future_every: int | None = None
    """Learned recency: batches of an epoch for each update of W, which come after it."""

    future_holdout: float = 0.0
    """Learned recency: share of the users held out to fit W, at least 0 and below 1. A
    network has memorised the later items of its training users, so W fitted on them overrates old
    items. 0: fit W on all users."""

    future_holdout_unit: Literal["users", "interactions"] = "users"
    """Learned recency: data held out of training. `users`: the whole history of held-out users.
    `interactions`: the end of their histories only, so no user is lost to the network."""

    recency_curve: Literal["free", "monotone"] = "free"
    """Learned recency: a weight of its own for each of 14 ages, or a power law with two parameters
    that never rises with age and is drawn towards ones."""

    guard: bool = False
    """At every validation also query without weights, and at scale 1; the best query is kept and
    recorded. The weights are then used only where validation prefers them."""

    per_step: bool = False
    """Learned: W has a row per diffusion step, not one that serves all."""

    weigh_training_input: bool = False
    """Weigh the history that the network is trained to denoise."""

    weigh_training_target: bool = False
    """Weigh the x_0 that the training loss compares with."""

    weigh_inference: bool = False
    """Weigh the history that the trained network is queried with."""

    keep_norm: bool = False
    """Rescale a weighted history to the L2 norm of the binary one."""

    inference_scale: float = 1.0
    """Factor on the history that the trained network is queried with, weighted or not."""

    def __post_init__(self) -> None:
        for name in _OPTIONAL:
            value = getattr(self, name)
            is_needed = name in _NEEDS[self.weighting]
            require(
                (value is not None) == is_needed,
                f"`temporal.{name}` {'is needed' if is_needed else 'has no effect'} with "
                f"temporal.weighting={self.weighting!r}, but got {value}.",
            )
            if value is not None:
                positive(f"temporal.{name}", value)
        if self.weight_min is not None and self.weight_max is not None:
            require(
                self.weight_min <= self.weight_max,
                "`temporal.weight_min <= temporal.weight_max` must hold, but got "
                f"{self.weight_min} > {self.weight_max}; exchange them.",
            )
        for name in ("future_items", "future_users", "future_every"):
            if (count := getattr(self, name)) is not None:
                at_least(f"temporal.{name}", count, 1)
        require(
            not (self.per_step and self.is_static),
            f"`temporal.per_step` has no effect with temporal.weighting={self.weighting!r}, which "
            "learns nothing; unset it.",
        )
        require(
            0 <= self.future_holdout < 1,
            "`temporal.future_holdout` must be a share of the users, at least 0 and below 1, but "
            f"got {self.future_holdout}.",
        )
        require(
            self.future_holdout == 0 or self.weighting == "learned_recency",
            "`temporal.future_holdout` keeps users for W, which temporal.weighting="
            f"{self.weighting!r} does not learn from; leave it at 0.",
        )
        positive("temporal.inference_scale", self.inference_scale)
        self._check_safety()
        self._check_uses()

    @property
    def is_static(self) -> bool:
        """Return whether the weights are known before training."""
        return self.weighting in STATIC_WEIGHTINGS

    @property
    def learns_steps(self) -> bool:
        """Return whether W weighs remembered losses in the sampler of diffusion steps."""
        return self.weighting in ("learned_steps", "linear_learned_steps")

    @property
    def history_weighting(self) -> Literal["none", "linear", "exponential"]:
        """Return the weights that histories carry, as far as they are known before training."""
        if self.weighting == "linear" or self.weighting == "linear_learned_steps":
            return "linear"
        return "exponential" if self.weighting == "exponential" else "none"

    def _check_safety(self) -> None:
        learns = self.weighting == "learned_recency"
        require(
            self.future_holdout_unit == "users" or self.future_holdout > 0,
            "`temporal.future_holdout_unit` has no effect without `temporal.future_holdout`, but "
            f"got {self.future_holdout_unit!r}; leave it at 'users'.",
        )
        require(
            self.recency_curve == "free" or learns,
            f"`temporal.recency_curve` has no effect with temporal.weighting={self.weighting!r}, "
            f"but got {self.recency_curve!r}; leave it at 'free'.",
        )
        for name, default in (
            ("ltw_init", "ones"),
            ("ltw_parametrisation", "exp"),
            ("ltw_order", "newest_first"),
        ):
            require(
                self.learns_steps or getattr(self, name) == default,
                f"`temporal.{name}` has no effect with temporal.weighting={self.weighting!r}, but "
                f"got {getattr(self, name)!r}; leave it at {default!r}.",
            )
        queries = self.weigh_inference and not (
            self.weigh_training_input or self.weigh_training_target
        )
        require(
            queries or not self.guard,
            "`temporal.guard` compares queries with and without weights, so it needs "
            "`temporal.weigh_inference` and a network trained without weights; unset it.",
        )

    def _check_uses(self) -> None:
        training = self.weigh_training_input or self.weigh_training_target
        if self.weighting in ("none", "learned_steps"):
            require(
                not (training or self.weigh_inference or self.keep_norm),
                f"temporal.weighting={self.weighting!r} weighs no interaction; unset "
                "`weigh_training_input`, `weigh_training_target`, `weigh_inference` and "
                "`keep_norm`.",
            )
            return
        require(
            training or self.weigh_inference,
            f"temporal.weighting={self.weighting!r} has no effect; set `weigh_training_input`, "
            "`weigh_training_target` or `weigh_inference`.",
        )
        require(
            self.weighting != "learned_recency" or (self.weigh_inference and not training),
            "temporal.weighting='learned_recency' learns to query a network that was trained on "
            "the plain history; set `weigh_inference` alone.",
        )
