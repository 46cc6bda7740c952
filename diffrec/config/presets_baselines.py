"""Starting configurations of the baselines; their regularisation should be searched."""

from diffrec.config import TrainingConfig
from diffrec.config.base import ModelConfig
from diffrec.config.baselines import (
    DirectedRidgeConfig,
    EASEConfig,
    ItemKNNConfig,
    MultVAEConfig,
    PopularityConfig,
)

_PUBLISHED: dict[str, ModelConfig] = {
    "Popularity": PopularityConfig(),
    "ItemKNN": ItemKNNConfig(),
    "EASE": EASEConfig(),
    "RecencyEASE": EASEConfig(regularization=1500.0, half_life=3.0),
    "DirectedRidge": DirectedRidgeConfig(),
    "MultVAE": MultVAEConfig(),
}
_EMBEDDED: dict[str, ModelConfig] = {
    "EASE": EASEConfig(regularization=100.0),
    "RecencyEASE": EASEConfig(regularization=100.0, half_life=10.0),
    "DirectedRidge": DirectedRidgeConfig(regularization=100.0, past_half_life=5.0),
    "MultVAE": MultVAEConfig(
        hidden_dims=(200,),
        latent_dim=64,
        kl_weight_anneal_batches=200,
        training=TrainingConfig(batch_size=100, learning_rate=1e-3, max_epochs=150),
    ),
}

BASELINES = tuple(_PUBLISHED)


def baseline_config(variant: str, dataset: str) -> tuple[ModelConfig, str]:
    """Return the starting configuration of a baseline on `dataset`, and where it comes from."""
    if dataset == "embedded" and variant in _EMBEDDED:
        return _EMBEDDED[variant], f"{variant} on embedded: ours, for the embedded dataset"
    return _PUBLISHED[variant], f"{variant}: its usual values, the same on every published dataset"
