"""Families of models: reads any configuration from its dictionary. No torch."""

from collections.abc import Mapping
from typing import Any

from diffrec.config import AutoencoderConfig, RecommenderConfig, TrainingConfig
from diffrec.config.baselines import (
    BaselineConfig,
    DirectedRidgeConfig,
    EASEConfig,
    ItemKNNConfig,
    MultVAEConfig,
    PopularityConfig,
)
from diffrec.config.forecasting import ForecastingConfig
from diffrec.errors import UserError, did_you_mean

AnyConfig = RecommenderConfig | ForecastingConfig | BaselineConfig

TrainedConfig = RecommenderConfig | ForecastingConfig | MultVAEConfig
"""Families that are trained by gradient, epoch after epoch."""

DIFFUSION = "diffusion"
_FAMILIES: dict[str, type[AnyConfig]] = {
    DIFFUSION: RecommenderConfig,
    "forecasting": ForecastingConfig,
    "popularity": PopularityConfig,
    "item_knn": ItemKNNConfig,
    "ease": EASEConfig,
    "directed_ridge": DirectedRidgeConfig,
    "mult_vae": MultVAEConfig,
}


def parse_config(values: Mapping[str, Any]) -> AnyConfig:
    """Build the configuration that `to_dict` of any family wrote.

    A dictionary without the key `family` is a diffusion recommender's, whose configuration has no
    such field.

    Raises:
        UserError: the family, a key or a value is unknown or refused.
    """
    family = values.get("family", DIFFUSION)
    if not isinstance(family, str) or family not in _FAMILIES:
        raise UserError(
            f"No family of models named {family!r}{did_you_mean(str(family), _FAMILIES)}; "
            f"known: {', '.join(_FAMILIES)}."
        )
    cls = _FAMILIES[family]
    if cls is RecommenderConfig:
        values = {key: value for key, value in values.items() if key != "family"}
    return cls.from_dict(values)


def needs_embeddings(config: AnyConfig) -> bool:
    """Return whether the recommender clusters the items by their embeddings."""
    latent = getattr(config, "autoencoder", None)
    return isinstance(latent, AutoencoderConfig) and latent.clustering is not None


def training_of(config: AnyConfig) -> TrainingConfig | None:
    """Return the training settings; None if the recommender is solved in one step."""
    return config.training if isinstance(config, TrainedConfig) else None
