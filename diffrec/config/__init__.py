"""Every hyperparameter, once: dataclasses, checks, (de)serialisation, presets.

Data only: neither torch nor NumPy is imported here.
Begin reading with `model`.
"""

from diffrec.config.base import ModelConfig
from diffrec.config.external import ExternalConfig
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
    "ExternalConfig",
    "ModelConfig",
    "Precision",
    "RecommenderConfig",
    "TemporalConfig",
    "TrainingConfig",
    "Weighting",
    "field_paths",
]
