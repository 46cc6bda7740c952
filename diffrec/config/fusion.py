"""Decides which diffusion recommenders can be trained as one batched computation; no torch."""

import json
from typing import Any

from diffrec.config.temporal import STATIC_WEIGHTINGS

_FREE = (
    "seed",
    "diffusion.beta_schedule",
    "diffusion.noise_scale",
    "diffusion.noise_min",
    "diffusion.noise_max",
    "diffusion.pin_first_beta",
    "diffusion.num_inference_noise_steps",
    "diffusion.stochastic_sampling",
    "denoiser.dropout",
    "denoiser.bias_init_std",
    "autoencoder.clustering",
    "autoencoder.dropout",
    "autoencoder.diffusion_weight",
    "autoencoder.diffusion_weight_min",
    "autoencoder.diffusion_weight_anneal_epochs",
    "autoencoder.kl_weight_max",
    "autoencoder.kl_weight_anneal_batches",
    "autoencoder.learning_rate",
    "autoencoder.weight_decay",
    "temporal.weight_min",
    "temporal.weight_max",
    "temporal.half_life",
    "temporal.ltw_learning_rate",
    "temporal.future_items",
    "temporal.future_temperature",
    "temporal.future_users",
    "temporal.future_every",
    "temporal.weigh_inference",
    "temporal.keep_norm",
    "temporal.inference_scale",
    "training.learning_rate",
    "training.weight_decay",
    "training.max_epochs",
    "training.eval_every",
    "training.patience",
)
"""Hyperparameters that may differ within a batch; all others shape the computation."""


def diffusion_fusion_key(values: dict[str, Any]) -> str:
    """Return the key of a diffusion recommender's configuration, given as its dictionary."""
    temporal = values["temporal"]
    # weights known before training are just another input
    if temporal["weighting"] in STATIC_WEIGHTINGS:
        temporal["weighting"] = "static"
    inputs = temporal.pop("weigh_training_input")
    temporal["separate_target"] = inputs != temporal.pop("weigh_training_target")
    for path in _FREE:
        _drop(values, path)
    return json.dumps(values, sort_keys=True)


def _drop(values: dict[str, Any], path: str) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        values = values[parent] or {}
    values.pop(name, None)
