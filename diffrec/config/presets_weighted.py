"""Weightings by time on top of a published configuration, by the variant's suffix.

`DiffRec+exponential` is DiffRec's configuration, to the last value, with another weighting; so the
variants of one base differ in `temporal` alone. `T-DiffRec+LTW` is the learned weighting as the
reproduction study ran it (docs/science/deviations.md).
"""

from typing import Any

from diffrec.config.model import RecommenderConfig

WEIGHTINGS = (
    "linear",
    "exponential",
    "learned_steps",
    "linear+learned_steps",
    "learned_recency",
)
"""Suffixes on a base that is published without weights."""

LTW = "LTW"
"""Suffix on a base that is published with linear weights."""

EXTENSIONS = (
    *(f"{base}+{name}" for base in ("DiffRec", "L-DiffRec") for name in WEIGHTINGS),
    f"T-DiffRec+{LTW}",
    f"LT-DiffRec+{LTW}",
)

_USES = ("weigh_training_input", "weigh_training_target", "weigh_inference")
_LINEAR_USES = dict.fromkeys(_USES, True)

# Recency weighs the query, never the training input: training on weighted histories makes the
# network forget the older items (docs/science/deviations.md). If time matters little, weights and
# scale do harm, so a guard compares them with the plain history at every validation.
_VALUES: dict[str, dict[str, Any]] = {
    "linear": {"weighting": "linear", **_LINEAR_USES},
    "exponential": {
        "weighting": "exponential",
        "half_life": 5.0,
        "weigh_inference": True,
        "keep_norm": True,
        "inference_scale": 2.0,
        "guard": True,
    },
    "learned_steps": {"weighting": "learned_steps", "ltw_learning_rate": 0.01, "per_step": True},
    "linear+learned_steps": {
        "weighting": "linear_learned_steps",
        "ltw_learning_rate": 0.01,
        "per_step": True,
        **_LINEAR_USES,
    },
    "learned_recency": {
        "weighting": "learned_recency",
        "ltw_learning_rate": 0.1,
        "future_items": 3,
        "future_temperature": 0.7,
        "future_users": 256,
        "future_every": 3,
        "future_holdout": 0.1,
        "future_holdout_unit": "interactions",
        "recency_curve": "monotone",
        "weigh_inference": True,
        "keep_norm": True,
        "inference_scale": 2.0,
        "guard": True,
    },
    LTW: {
        "weighting": "linear_learned_steps",
        "per_step": True,
        "ltw_init": "uniform",
        "ltw_parametrisation": "raw",
        "ltw_order": "newest_last",
    },
}


def weighted(
    base: RecommenderConfig, suffix: str, line: tuple[float, float]
) -> tuple[RecommenderConfig, str]:
    """Return a configuration with the weighting of `suffix`, and where the weighting comes from.

    Args:
        base: what to weight; nothing but its `temporal` changes.
        suffix: one of `WEIGHTINGS`, or `LTW`, whose W has the network's learning rate.
        line: linear weights of the oldest and of the newest interaction.
    """
    changes = dict(_VALUES[suffix])
    if suffix == LTW:
        changes["ltw_learning_rate"] = base.training.learning_rate
    if changes["weighting"].startswith("linear"):
        changes["weight_min"], changes["weight_max"] = line
    config = base.replace_values({f"temporal.{name}": value for name, value in changes.items()})
    if suffix == LTW:
        return config, "its learned weights as the reproduction study ran them"
    return config, f"{suffix} weighting: ours"
