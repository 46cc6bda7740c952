"""Builds the network of a configuration, with its seed's initial weights, and its optimiser."""

from typing import Any

import numpy as np
import torch
from torch import nn

from diffrec.config.baselines import MultVAEConfig
from diffrec.config.families import TrainedConfig, needs_embeddings
from diffrec.config.forecasting import ForecastingConfig
from diffrec.data.embeddings import svd_item_embeddings
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
        embeddings = split.item_embeddings
        if embeddings is None and needs_embeddings(config):
            embeddings = svd_item_embeddings(split.train)
        elif embeddings is None:  # one cluster has all items, wherever they lie
            embeddings = np.zeros((split.train.num_items, 0), dtype=np.float32)
        cluster_ids = cluster_items(embeddings, latent.clustering, latent.num_clusters, config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "init"))
        return new_model(config, split.train.num_items, cluster_ids)


def new_model(
    config: TrainedConfig, num_items: int, cluster_ids: np.ndarray | None
) -> TrainedModel:
    """Return the recommender of `config` with weights from torch's global generator.

    Args:
        config: configuration of any family that is trained.
        num_items: number of items.
        cluster_ids: cluster of each item, (num_items,); needed with an autoencoder.
    """
    if isinstance(config, MultVAEConfig):
        return MultVAE(config, num_items)
    if isinstance(config, ForecastingConfig):
        return ForecastingRecommender(config, num_items, cluster_ids)
    return DiffusionRecommender(config, num_items, cluster_ids)


def build_optimizer(config: TrainedConfig, model: TrainedModel) -> AdamW:
    """Return AdamW with a parameter group each for denoiser, autoencoder and learned weights."""
    training = config.training
    if isinstance(model, MultVAE):
        return AdamW([_group(model, training.learning_rate, training.weight_decay)])
    groups = [_group(model.denoiser, training.learning_rate, training.weight_decay)]
    latent = model.config.autoencoder
    if model.autoencoder is not None and latent is not None:
        groups.append(_group(model.autoencoder, latent.learning_rate, latent.weight_decay))
    if isinstance(model, DiffusionRecommender):
        groups += _learned_weights_group(model)
    return AdamW(groups)


def _group(module: nn.Module, rate: float, decay: float) -> dict[str, Any]:
    return {"params": list(module.parameters()), "lr": rate, "weight_decay": decay}


def _learned_weights_group(model: DiffusionRecommender) -> list[dict[str, Any]]:
    """Return W's group, without weight decay, which would pull W back to ones."""
    parts = [part for part in (model.recency, model.timestep_sampler) if part is not None]
    parameters = [p for part in parts for p in part.parameters()]
    if not parameters:
        return []
    rate = model.config.temporal.ltw_learning_rate
    return [{"params": parameters, "lr": rate, "weight_decay": 0.0}]
