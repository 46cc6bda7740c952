"""Configurations as published, per variant and dataset.

Sources: names of the released checkpoints (YiyanXu/DiffRec) and, for T- and LT-DiffRec on ML-1M,
the defaults of the reproduction study's scripts (ilayda-bilgin/RS). The values for the embedded
dataset are ours.
"""

from dataclasses import dataclass
from typing import Any

from diffrec.config import (
    AutoencoderConfig,
    DenoiserConfig,
    DiffusionConfig,
    RecommenderConfig,
    TemporalConfig,
    TrainingConfig,
)
from diffrec.config.families import AnyConfig, TrainedConfig
from diffrec.config.preset_choice import (
    PUBLISHED_SHAPES,
    TUNED_ON,
    DatasetShape,
    TargetDataset,
    nearest_dataset,
    same_steps,
)
from diffrec.config.presets_baselines import BASELINES, baseline_config
from diffrec.config.presets_forecasting import FORECASTING, forecasting_config
from diffrec.config.presets_weighted import EXTENSIONS, weighted
from diffrec.errors import UserError, did_you_mean

VARIANTS = ("DiffRec", "L-DiffRec", "T-DiffRec", "LT-DiffRec")
_TIMED = {"DiffRec": "T-DiffRec", "L-DiffRec": "LT-DiffRec"}
"""Variant with linear weights of each that has none."""

ALL_VARIANTS = (*VARIANTS, *EXTENSIONS, *FORECASTING, *BASELINES)

WITHOUT_ROWS = (*FORECASTING, *BASELINES)
"""Variants with one preset for all published datasets: there is none to choose among."""

FALLBACK_DATASET = TUNED_ON

_CHECKPOINT = "the released checkpoint's name"
_REPORT = "the reproduction study's script defaults"
_OURS = "ours, for the embedded dataset"


@dataclass(frozen=True, slots=True)
class Preset:
    """A published configuration and where it comes from."""

    config: Any
    """Configuration, of the variant's family (`diffrec.config.families.AnyConfig`)."""

    source: str
    choice: str | None = None
    """Why that dataset's values were taken, where nothing is published for the user's own."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One published line. `noise` is (noise_scale, noise_min, noise_max)."""

    learning_rate: float
    hidden_dims: tuple[int, ...]
    num_steps: int
    noise: tuple[float, float, float]
    source: str = _CHECKPOINT
    batch_size: int = 400
    autoencoder_learning_rate: float | None = None
    diffusion_weight: float = 0.03
    latent_dim: int = 300
    weights: tuple[float, float] | None = None
    max_epochs: int = 1000


_ROWS: dict[tuple[str, str], _Row] = {
    ("DiffRec", "amazon-book_clean"): _Row(5e-5, (1000,), 5, (0.0001, 0.0005, 0.005)),
    ("DiffRec", "yelp_clean"): _Row(1e-5, (1000,), 5, (0.01, 0.001, 0.01)),
    ("DiffRec", "ml-1m_clean"): _Row(1e-3, (200, 600), 40, (0.005, 0.005, 0.01)),
    ("DiffRec", "amazon-book_noisy"): _Row(5e-5, (1000,), 10, (0.005, 0.0001, 0.0005)),
    ("DiffRec", "yelp_noisy"): _Row(1e-5, (1000,), 5, (0.001, 0.0005, 0.01)),
    ("DiffRec", "ml-1m_noisy"): _Row(1e-3, (200, 600), 5, (0.5, 0.001, 0.01)),
    ("DiffRec", "embedded"): _Row(
        1e-3, (200,), 5, (0.1, 0.001, 0.01), _OURS, batch_size=100, max_epochs=150
    ),
    ("T-DiffRec", "amazon-book_clean"): _Row(
        1e-5, (1000,), 10, (0.0005, 0.001, 0.005), weights=(0.1, 1.0)
    ),
    ("T-DiffRec", "yelp_clean"): _Row(1e-5, (1000,), 5, (0.005, 0.001, 0.01), weights=(0.5, 1.0)),
    ("T-DiffRec", "ml-1m_clean"): _Row(
        1e-4, (1000,), 5, (0.1, 0.0001, 0.02), _REPORT, weights=(0.1, 1.0)
    ),
    ("T-DiffRec", "ml-1m_noisy"): _Row(
        1e-4, (1000,), 5, (0.1, 0.0001, 0.02), _REPORT, weights=(0.1, 1.0)
    ),
    ("T-DiffRec", "embedded"): _Row(
        1e-3, (200,), 5, (0.1, 0.001, 0.01), _OURS, 100, weights=(0.1, 1.0), max_epochs=150
    ),
}
_LATENT_ROWS: dict[tuple[str, str], _Row] = {
    ("L-DiffRec", dataset): _Row(
        learning_rate,
        (300,),
        num_steps,
        noise,
        autoencoder_learning_rate=autoencoder_learning_rate,
        diffusion_weight=diffusion_weight,
    )
    for dataset, learning_rate, autoencoder_learning_rate, num_steps, noise, diffusion_weight in (
        ("amazon-book_clean", 1e-4, 5e-4, 5, (0.5, 0.001, 0.005), 0.05),
        ("yelp_clean", 1e-4, 5e-4, 5, (0.01, 0.005, 0.01), 0.03),
        ("ml-1m_clean", 5e-4, 1e-3, 40, (0.005, 0.005, 0.02), 0.03),
        ("amazon-book_noisy", 1e-4, 5e-4, 5, (0.5, 0.001, 0.005), 0.07),
        ("yelp_noisy", 1e-4, 5e-4, 5, (0.01, 0.005, 0.01), 0.03),
        ("ml-1m_noisy", 5e-4, 1e-3, 100, (0.005, 0.005, 0.02), 0.03),
    )
} | {
    ("LT-DiffRec", dataset): _Row(
        learning_rate,
        (300,),
        5,
        noise,
        source,
        batch_size,
        autoencoder_learning_rate=5e-4,
        weights=(weight_min, 1.0),
    )
    for dataset, learning_rate, noise, source, batch_size, weight_min in (
        ("amazon-book_clean", 1e-4, (0.7, 0.001, 0.005), _CHECKPOINT, 400, 0.1),
        ("yelp_clean", 5e-5, (0.01, 0.005, 0.01), _CHECKPOINT, 200, 0.5),
        ("ml-1m_clean", 1e-4, (0.01, 0.005, 0.01), _REPORT, 200, 0.5),
        ("ml-1m_noisy", 1e-4, (0.01, 0.005, 0.01), _REPORT, 200, 0.5),
    )
}
_EMBEDDED_LATENT = {
    (variant, "embedded"): _Row(
        1e-3,
        (64,),
        5,
        (0.1, 0.005, 0.01),
        _OURS,
        100,
        autoencoder_learning_rate=2e-3,
        latent_dim=64,
        weights=weights,
        max_epochs=150,
    )
    for variant, weights in (("L-DiffRec", None), ("LT-DiffRec", (0.1, 1.0)))
}
_TABLE = _ROWS | _LATENT_ROWS | _EMBEDDED_LATENT


def preset(
    variant: str, dataset: str, *, shape: DatasetShape | None = None, like: str | None = None
) -> Preset:
    """Return the configuration published for `variant`, a baseline's too, on `dataset`.

    A dataset without one (your own, for example) starts from a published dataset's, with epochs and
    patience of the same number of steps; `source` says which and why, and the caller shows it.

    Args:
        variant: one of `ALL_VARIANTS`.
        dataset: its name.
        shape: size of its train list, by which the nearest published dataset is chosen; ml-1m_clean
            without one.
        like: published dataset to take instead.

    Raises:
        UserError: no such variant, or nothing is published for it on `like`.
    """
    if variant in WITHOUT_ROWS and like is not None:
        raise UserError(
            f"{variant} starts from one set of values on every published dataset, so there is none "
            f"to choose, but got {like!r}; leave out --preset-of."
        )
    if variant in BASELINES:
        return _everywhere(*baseline_config(variant, dataset), dataset, shape)
    if variant in FORECASTING:
        return _everywhere(*forecasting_config(variant, dataset), dataset, shape)
    if variant in EXTENSIONS:
        base, suffix = variant.split("+", 1)
        published = preset(base, dataset, shape=shape, like=like)
        config, weighting = weighted(published.config, suffix, _line(base, like or dataset, shape))
        return Preset(config, f"{published.source}; {weighting}", published.choice)
    if variant not in VARIANTS:
        raise UserError(
            f"No variant named {variant!r}{did_you_mean(variant, ALL_VARIANTS)}; "
            f"known: {', '.join(ALL_VARIANTS)}."
        )
    row = _TABLE.get((variant, dataset))
    if row is not None and like is None:
        return Preset(_config(row), f"{variant} on {dataset}: {row.source}")
    return _borrowed(variant, dataset, shape, like)


def preset_for(variant: str, target: TargetDataset | str) -> Preset:
    """Return the preset of `variant` for a dataset of this name, or of this name and size.

    `like` of the target is left to the variants that have several presets to choose among.

    Raises:
        UserError: as `preset`.
    """
    if isinstance(target, str):
        return preset(variant, target)
    like = None if variant in WITHOUT_ROWS else target.like
    return preset(variant, target.name, shape=target.shape, like=like)


def _everywhere(config: AnyConfig, source: str, dataset: str, shape: DatasetShape | None) -> Preset:
    """Return values that are the same everywhere, on a dataset of your own in as many steps."""
    known = dataset in PUBLISHED_SHAPES or dataset == "embedded"
    if known or shape is None or not isinstance(config, TrainedConfig):
        return Preset(config, source)
    config, steps = same_steps(config, shape, TUNED_ON)
    return Preset(config, f"{source}; {steps}")


def _line(base: str, dataset: str, shape: DatasetShape | None) -> tuple[float, float]:
    """Return the weights (oldest, newest) of T- or LT-DiffRec on `dataset` or the nearest one."""
    timed = _TIMED.get(base, base)
    row = _TABLE.get((timed, dataset), _TABLE[timed, _nearest(timed, shape)])
    assert row.weights is not None
    return row.weights


def _borrowed(variant: str, dataset: str, shape: DatasetShape | None, like: str | None) -> Preset:
    """Return another dataset's configuration: of `like`, or of the nearest one."""
    published = _published(variant)
    if like is not None and like not in published:
        raise UserError(
            f"Nothing is published for {variant} on {like!r}{did_you_mean(like, published)}; "
            f"choose from {', '.join(sorted(published))}."
        )
    chosen = like or _nearest(variant, shape)
    row = _TABLE[variant, chosen]
    config, source = _config(row), f"values of {chosen} ({row.source})"
    if like is None:
        source = f"nothing is published for {variant} on {dataset}; {source}"
    if shape is None:
        return Preset(config, source)
    choice = (
        None
        if like is not None
        else f"{chosen} is the nearest published dataset in size and density "
        f"({PUBLISHED_SHAPES[chosen].sentence()}; here {shape.sentence()}); another is chosen with "
        "--preset-of"
    )
    config, steps = same_steps(config, shape, chosen)
    return Preset(config, f"{source}; {steps}", choice)


def _published(variant: str) -> list[str]:
    return [dataset for v, dataset in _TABLE if v == variant and dataset in PUBLISHED_SHAPES]


def _nearest(variant: str, shape: DatasetShape | None) -> str:
    return FALLBACK_DATASET if shape is None else nearest_dataset(shape, _published(variant))


def _config(row: _Row) -> RecommenderConfig:
    scale, low, high = row.noise
    latent = row.autoencoder_learning_rate is not None
    return RecommenderConfig(
        diffusion=DiffusionConfig(
            num_steps=row.num_steps,
            noise_scale=scale,
            noise_min=low,
            noise_max=high,
            pin_first_beta=not latent,
        ),
        denoiser=DenoiserConfig(
            hidden_dims=row.hidden_dims, bias_init_std=0.0 if latent else 0.001
        ),
        autoencoder=None
        if row.autoencoder_learning_rate is None
        else AutoencoderConfig(
            latent_dim=row.latent_dim,
            diffusion_weight=row.diffusion_weight,
            learning_rate=row.autoencoder_learning_rate,
        ),
        temporal=_temporal(row.weights),
        training=TrainingConfig(
            batch_size=row.batch_size,
            learning_rate=row.learning_rate,
            max_epochs=row.max_epochs,
        ),
    )


def _temporal(weights: tuple[float, float] | None) -> TemporalConfig:
    if weights is None:
        return TemporalConfig()
    fields: dict[str, Any] = {"weight_min": weights[0], "weight_max": weights[1]}
    uses = ("weigh_training_input", "weigh_training_target", "weigh_inference")
    return TemporalConfig(weighting="linear", **fields, **dict.fromkeys(uses, True))
