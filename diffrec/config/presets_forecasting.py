"""Starting configurations of the forecasting recommenders; nothing is published for them."""

from diffrec.config import AutoencoderConfig, TrainingConfig
from diffrec.config.forecasting import ForecastDenoiserConfig, ForecastingConfig

_EMBEDDED_TRAINING = TrainingConfig(
    batch_size=100, learning_rate=3e-3, weight_decay=0.01, max_epochs=150, patience=60
)


def _autoencoder(latent_dim: int, learning_rate: float) -> AutoencoderConfig:
    """Return an autoencoder that samples no latent.

    The released encoder ends in tanh, so a sampled latent has a standard deviation of 0.6 or more,
    which leaves nothing of a past of 32 items.
    """
    return AutoencoderConfig(
        latent_dim=latent_dim, learning_rate=learning_rate, variational=False, kl_weight_max=0.0
    )


_EVERYWHERE = {
    "F-DiffRec": ForecastingConfig(),
    "LF-DiffRec": ForecastingConfig(autoencoder=_autoencoder(300, 1e-3)),
}
_EMBEDDED = {
    "F-DiffRec": ForecastingConfig(
        denoiser=ForecastDenoiserConfig(hidden_dims=(100,)), training=_EMBEDDED_TRAINING
    ),
    "LF-DiffRec": ForecastingConfig(
        denoiser=ForecastDenoiserConfig(hidden_dims=(100,)),
        autoencoder=_autoencoder(64, 2e-3),
        training=_EMBEDDED_TRAINING,
    ),
}

FORECASTING = tuple(_EVERYWHERE)


def forecasting_config(variant: str, dataset: str) -> tuple[ForecastingConfig, str]:
    """Return the starting configuration of a forecasting recommender, and where it comes from."""
    if dataset == "embedded":
        return _EMBEDDED[variant], f"{variant} on embedded: ours, for the embedded dataset"
    return _EVERYWHERE[variant], f"{variant}: ours, the same on every published dataset"
