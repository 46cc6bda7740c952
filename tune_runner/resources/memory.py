"""Estimates a trial's memory from its configuration; nothing is built, torch is not imported."""

from itertools import pairwise

from diffrec.config import AutoencoderConfig, RecommenderConfig
from diffrec.config.baselines import DirectedRidgeConfig, EASEConfig, MultVAEConfig
from diffrec.config.families import AnyConfig, TrainedConfig
from diffrec.config.forecasting import ForecastingConfig

_FLOAT = 4
_COPIES = 5
"""Copies of every weight: itself, its gradient, Adam's two moments, the best-validation state."""

_WIDE_COPIES = 3
"""Copies of a wide denoiser's weights: the gradient comes in pieces, the best state is a file."""

_WIDE_BYTES = 2**26
"""See diffrec.training.run.WIDE_BYTES; that module needs torch."""

_ACTIVATIONS = 8
"""Tensors of a layer's output that training keeps or makes: noise, dropout mask, gradients."""

_ITEM_ACTIVATIONS = 2
"""Tensors of an item space without an autoencoder, both ends of the network counted: noise, x_t and
the dropped-out x_t share one tensor; history, output and the output's gradient are three more."""

_FORECAST_SCORES = 4
"""Matrices over the items of a forecasting recommender's step: scores, a temporary of their
log-sum, noise, and dense ends where there is an autoencoder."""

_FORECAST_PIECE = 2**25
"""See diffrec.training.forecasting_run.CELLS_PER_PIECE; that module needs torch."""

_GRAM_COPIES = 3
"""Copies of a float64 Gram matrix while EASE inverts it."""


def estimate_trial_bytes(
    config: AnyConfig, num_users: int, num_items: int, *, fused: bool = False
) -> float:
    """Return the estimated peak memory of training in bytes, without the data and libraries.

    Trained as one computation with others (`fused`), a wide layer's gradient does not come in
    pieces, and an item space has no tensors that share memory.
    """
    if isinstance(config, EASEConfig | DirectedRidgeConfig):
        return _GRAM_COPIES * 8.0 * num_items**2
    widths = layer_widths(config, num_items)
    if not widths:
        return 0.0
    assert isinstance(config, TrainedConfig)
    rows = min(config.training.batch_size, num_users)
    if isinstance(config, ForecastingConfig):
        scores = _FORECAST_SCORES * min(rows * num_items, _FORECAST_PIECE)
        return _FLOAT * (_COPIES * num_weights(config, num_items) + scores)
    outputs = sum(sum(layers) for layers in widths)
    over_items = is_wide = False
    if isinstance(config, RecommenderConfig) and config.autoencoder is None and not fused:
        over_items = True
        is_wide = _FLOAT * num_items * config.denoiser.hidden_dims[-1] >= _WIDE_BYTES
    copies = _WIDE_COPIES if is_wide else _COPIES
    activations = _ITEM_ACTIVATIONS if over_items else _ACTIVATIONS
    return _FLOAT * (copies * num_weights(config, num_items) + activations * rows * outputs)


def num_weights(config: AnyConfig, num_items: int) -> int:
    """Return the number of entries of all weight matrices and biases of the main layers."""
    widths = layer_widths(config, num_items)
    return sum(below * above + above for layers in widths for below, above in pairwise(layers))


def layer_widths(config: AnyConfig, num_items: int) -> list[list[int]]:
    """Return the widths from input to output of each chain of layers; none for closed forms."""
    if isinstance(config, MultVAEConfig):
        hidden = list(config.hidden_dims)
        up = [config.latent_dim, *reversed(hidden), num_items]
        return [[num_items, *hidden, 2 * config.latent_dim], up]
    if not isinstance(config, RecommenderConfig | ForecastingConfig):
        return []
    dim = num_items if config.autoencoder is None else config.autoencoder.latent_dim
    hidden = list(config.denoiser.hidden_dims)
    into = dim
    if isinstance(config, RecommenderConfig):
        into += config.denoiser.timestep_embedding_dim
    chains = [[into, *reversed(hidden), *hidden[1:], dim]]
    if config.autoencoder is not None:
        chains += _autoencoder_widths(config.autoencoder, num_items)
    return chains


def _autoencoder_widths(config: AutoencoderConfig, num_items: int) -> list[list[int]]:
    """Return both halves as if the clusters were of one size; with one cluster that is exact."""
    count = config.num_clusters

    def share(sizes: tuple[int, ...]) -> list[int]:
        return [size // count for size in sizes]

    items = num_items // count
    outputs = 2 * config.latent_dim if config.variational else config.latent_dim
    encoder = [items, *share(config.encoder_hidden_dims), outputs // count]
    decoders = count if config.decoder_per_cluster else 1
    below = [config.latent_dim // decoders]
    decoder = [*below, *(s // decoders for s in config.decoder_hidden_dims), num_items // decoders]
    return [encoder] * count + [decoder] * decoders
