"""Ablation of the parts of F-DiffRec: one factor at a time, five paired seeds.

Every cell changes one setting of the preset, the control none: a factor is active only while all
factors before it have the preset's value. A comparison, so nothing is pruned (see
clustering_ablation). A half-life of 1e6 weighs all items alike. Whether more steps or noise help is
the question of `forecasting_bridge`.
"""

from collections.abc import Mapping
from itertools import pairwise

from search_spaces.domains import Choice
from search_spaces.space import Condition, SearchSpace

_FACTORS: Mapping[str, Choice] = {
    "forecast.cuts": Choice("interactions", "users", "fixed"),
    "forecast.past_half_life": Choice(5.0, 2.0, 20.0, 1e6),
    "forecast.future_half_life": Choice(8.0, 3.0, 20.0, 1e6),
    "forecast.loss": Choice("multinomial", "squared_error"),
    "forecast.mask_past": Choice(True, False),
    "forecast.past_dropout": Choice(0.2, 0.0),
    "forecast.past_items": Choice(32, 8, 200),
    "forecast.future_items": Choice(80, 10, 1),
    "training.patience": Choice(60, 20, 120),
}
"""The preset's value first."""

_PATHS = list(_FACTORS)

SPACE = SearchSpace(
    name="forecasting",
    question="Which part of F-DiffRec makes it recommend well?",
    variant="F-DiffRec",
    domains=_FACTORS,
    conditions={
        path: Condition(before, (_FACTORS[before].values[0],)) for before, path in pairwise(_PATHS)
    },
    replicates=5,
    control={path: choice.values[0] for path, choice in _FACTORS.items()},
)
