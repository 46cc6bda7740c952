"""Every hyperparameter, once: dataclasses, checks, (de)serialisation, presets. No torch."""

from diffrec.config.model import (
    AutoencoderConfig,
    Clustering,
    DenoiserConfig,
    DiffusionConfig,
    Precision,
    RecommenderConfig,
    TrainingConfig,
    field_paths,
)
from diffrec.config.temporal import TemporalConfig, Weighting

__all__ = [
    "AutoencoderConfig",
    "Clustering",
    "DenoiserConfig",
    "DiffusionConfig",
    "Precision",
    "RecommenderConfig",
    "TemporalConfig",
    "TrainingConfig",
    "Weighting",
    "field_paths",
]
