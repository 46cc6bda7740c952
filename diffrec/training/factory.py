"""A configuration's network with its seed's initial weights, and its optimiser."""

from typing import Any

import torch

from diffrec.config.baselines import MultVAEConfig
from diffrec.config.families import TrainedConfig
from diffrec.config.forecasting import ForecastingConfig
from diffrec.data.interactions import TuningSplit
from diffrec.models.baselines.mult_vae import MultVAE
from diffrec.models.clustering import cluster_items
from diffrec.models.forecasting import ForecastingRecommender
from diffrec.models.recommender import DiffusionRecommender
from diffrec.runtime.seeding import derive_seed
from diffrec.training.adamw import AdamW

TrainedModel = DiffusionRecommender | ForecastingRecommender | MultVAE


def build_model(config: TrainedConfig, split: TuningSplit) -> TrainedModel:
    """Return the recommender of `config` with its seed's initial weights, on the CPU."""
    cluster_ids = None
    latent = None if isinstance(config, MultVAEConfig) else config.autoencoder
    if latent is not None:
        cluster_ids = cluster_items(
            split.item_embeddings, latent.clustering, latent.num_clusters, config.seed
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "init"))
        if isinstance(config, MultVAEConfig):
            return MultVAE(config, split.train.num_items)
        if isinstance(config, ForecastingConfig):
            return ForecastingRecommender(config, split.train.num_items, cluster_ids)
        return DiffusionRecommender(config, split.train.num_items, cluster_ids)


def build_optimizer(config: TrainedConfig, model: TrainedModel) -> AdamW:
    """Return AdamW with a group per part: the denoiser and, where there is one, the autoencoder."""
    training = config.training
    main = model if isinstance(model, MultVAE) else model.denoiser
    groups: list[dict[str, Any]] = [
        {
            "params": list(main.parameters()),
            "lr": training.learning_rate,
            "weight_decay": training.weight_decay,
        }
    ]
    if (
        not isinstance(model, MultVAE)
        and model.autoencoder is not None
        and model.config.autoencoder is not None
    ):
        groups.append(
            {
                "params": list(model.autoencoder.parameters()),
                "lr": model.config.autoencoder.learning_rate,
                "weight_decay": model.config.autoencoder.weight_decay,
            }
        )
    if isinstance(model, DiffusionRecommender):
        groups += _learned_weights_group(model)
    return AdamW(groups)


def _learned_weights_group(model: DiffusionRecommender) -> list[dict[str, Any]]:
    """Return W's own group, without weight decay: decay would pull it back to ones."""
    parts = [part for part in (model.recency, model.timestep_sampler) if part is not None]
    parameters = [p for part in parts for p in part.parameters()]
    if not parameters:
        return []
    rate = model.config.temporal.ltw_learning_rate
    return [{"params": parameters, "lr": rate, "weight_decay": 0.0}]
