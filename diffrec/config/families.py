"""Registry of all families of recommenders: reads any configuration; no torch."""

from collections.abc import Mapping
from typing import Any

from diffrec.config import RecommenderConfig, TrainingConfig, external
from diffrec.config.base import ModelConfig
from diffrec.config.baselines import (
    DirectedRidgeConfig,
    EASEConfig,
    ItemKNNConfig,
    MultVAEConfig,
    PopularityConfig,
)
from diffrec.config.forecasting import ForecastingConfig
from diffrec.errors import UserError, did_you_mean

DIFFUSION = "diffusion"
FAMILIES: dict[str, type[ModelConfig]] = {
    DIFFUSION: RecommenderConfig,
    "forecasting": ForecastingConfig,
    "popularity": PopularityConfig,
    "item_knn": ItemKNNConfig,
    "ease": EASEConfig,
    "directed_ridge": DirectedRidgeConfig,
    "mult_vae": MultVAEConfig,
}


def parse_config(values: Mapping[str, Any], *, trusted: bool = False) -> ModelConfig:
    """Build the configuration that `to_dict` of any family wrote.

    A dictionary without the key `family` is a diffusion recommender's, whose configuration has no
    such field.

    Args:
        values: the dictionary.
        trusted: whether the file that it names may be run (`external_class`).

    Raises:
        UserError: the family, a key or a value is unknown or refused.
    """
    family = values.get("family", DIFFUSION)
    outside = isinstance(family, str) and family not in FAMILIES
    if outside and (":" in family or external.find(family) is not None):
        return external.external_class(family, trusted=trusted).from_dict(values)
    if not isinstance(family, str) or family not in FAMILIES:
        known = [*FAMILIES, *external.known_names()]
        raise UserError(
            f"No family of models named {family!r}{did_you_mean(str(family), known)}; "
            f"known: {', '.join(known)}."
        )
    cls = FAMILIES[family]
    if family == DIFFUSION:
        values = {key: value for key, value in values.items() if key != "family"}
    return cls.from_dict(values)


def training_of(config: ModelConfig) -> TrainingConfig | None:
    """Return the training settings; None if the recommender is solved in one step."""
    return getattr(config, "training", None)
