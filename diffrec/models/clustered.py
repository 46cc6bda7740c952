"""Recommenders that may work on the latent of the clustered autoencoder."""

from typing import Any, Self

import numpy as np
from torch import Tensor

from diffrec.config import TrainingConfig
from diffrec.data.embeddings import svd_item_embeddings
from diffrec.data.interactions import TuningSplit
from diffrec.models.autoencoder import ClusteredAutoencoder
from diffrec.models.base import Recommender, parameter_group
from diffrec.models.clustering import cluster_items


class ClusteredRecommender(Recommender):
    """Recommender whose autoencoder, if it has one, needs the items' clusters."""

    autoencoder: ClusteredAutoencoder | None

    def __init__(self, config: Any, num_items: int, cluster_ids: np.ndarray | None = None) -> None:
        """Build with fresh weights from torch's global generator.

        Args:
            config: configuration of the recommender.
            num_items: width of the interaction vectors.
            cluster_ids: cluster of each item, shape (num_items,); needed with an autoencoder.
        """
        super().__init__(config, num_items)

    @classmethod
    def build(cls, config: Any, split: TuningSplit) -> Self:
        """Cluster the items if there is an autoencoder, and build with fresh weights."""
        latent, cluster_ids = config.autoencoder, None
        if latent is not None:
            embeddings = split.item_embeddings
            if embeddings is None and config.needs_embeddings:
                embeddings = svd_item_embeddings(split.train)
            elif embeddings is None:  # one cluster has all items, wherever they lie
                embeddings = np.zeros((split.train.num_items, 0), dtype=np.float32)
            cluster_ids = cluster_items(
                embeddings, latent.clustering, latent.num_clusters, config.seed
            )
        model = cls(config, split.train.num_items, cluster_ids)
        model.prepare(split)
        return model

    @classmethod
    def restore(cls, config: Any, num_items: int, state: dict[str, Tensor]) -> Self:
        """Return a trained recommender; the clusters are part of its state."""
        clusters = None
        if config.autoencoder is not None:
            clusters = state["autoencoder.cluster_ids"].numpy()
            if len(clusters) != num_items:
                raise RuntimeError("The clustering is of another number of items.")
        model = cls(config, num_items, clusters)
        model.load_state_dict(state)
        return model

    def parameter_groups(self, training: TrainingConfig) -> list[dict[str, Any]]:
        """Return a group for the denoiser and one for the autoencoder."""
        groups = [
            parameter_group(
                self.get_submodule("denoiser"), training.learning_rate, training.weight_decay
            )
        ]
        latent = self.config.autoencoder
        if self.autoencoder is not None and latent is not None:
            rate, decay = latent.learning_rate, latent.weight_decay
            groups.append(parameter_group(self.autoencoder, rate, decay))
        return groups
