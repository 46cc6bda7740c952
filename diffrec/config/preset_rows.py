"""Values of every preset, a line each: as published, and as the reproduction study ran them.

Sources: names of the released checkpoints (YiyanXu/DiffRec); the defaults of the reproduction
study's scripts (ilayda-bilgin/RS), which trained with them on every dataset and set nothing but the
number of steps for each. T- and LT-DiffRec on ML-1M are published nowhere else. The values for the
embedded dataset are ours.
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

_CHECKPOINT = "the released checkpoint's name"
_REPORT = "the reproduction study's script defaults"
_OURS = "ours, for the embedded dataset"


@dataclass(frozen=True, slots=True)
class Row:
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


_ROWS: dict[tuple[str, str], Row] = {
    ("DiffRec", "amazon-book_clean"): Row(5e-5, (1000,), 5, (0.0001, 0.0005, 0.005)),
    ("DiffRec", "yelp_clean"): Row(1e-5, (1000,), 5, (0.01, 0.001, 0.01)),
    ("DiffRec", "ml-1m_clean"): Row(1e-3, (200, 600), 40, (0.005, 0.005, 0.01)),
    ("DiffRec", "amazon-book_noisy"): Row(5e-5, (1000,), 10, (0.005, 0.0001, 0.0005)),
    ("DiffRec", "yelp_noisy"): Row(1e-5, (1000,), 5, (0.001, 0.0005, 0.01)),
    ("DiffRec", "ml-1m_noisy"): Row(1e-3, (200, 600), 5, (0.5, 0.001, 0.01)),
    ("DiffRec", "embedded"): Row(
        1e-3, (200,), 5, (0.1, 0.001, 0.01), _OURS, batch_size=100, max_epochs=150
    ),
    ("T-DiffRec", "amazon-book_clean"): Row(
        1e-5, (1000,), 10, (0.0005, 0.001, 0.005), weights=(0.1, 1.0)
    ),
    ("T-DiffRec", "yelp_clean"): Row(1e-5, (1000,), 5, (0.005, 0.001, 0.01), weights=(0.5, 1.0)),
    ("T-DiffRec", "ml-1m_clean"): Row(
        1e-4, (1000,), 5, (0.1, 0.0001, 0.02), _REPORT, weights=(0.1, 1.0)
    ),
    ("T-DiffRec", "ml-1m_noisy"): Row(
        1e-4, (1000,), 5, (0.1, 0.0001, 0.02), _REPORT, weights=(0.1, 1.0)
    ),
    ("T-DiffRec", "embedded"): Row(
        1e-3, (200,), 5, (0.1, 0.001, 0.01), _OURS, 100, weights=(0.1, 1.0), max_epochs=150
    ),
}
_LATENT_ROWS: dict[tuple[str, str], Row] = {
    ("L-DiffRec", dataset): Row(
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
    ("LT-DiffRec", dataset): Row(
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
    (variant, "embedded"): Row(
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
PUBLISHED_ROWS: dict[tuple[str, str], Row] = _ROWS | _LATENT_ROWS | _EMBEDDED_LATENT

_REPORT_STEPS = {
    "DiffRec": (5, 10, 40, 5, 5, 5),
    "L-DiffRec": (5, 5, 40, 100, 5, 5),
    "T-DiffRec": (10, 100, 5, 5, 5, 5),
    "LT-DiffRec": (5, None, 5, 5, 5, 5),
}
"""Steps on `_RELEASED`, as the scripts set them. None: the script noises for ten steps of five,
which its own check refuses, so what the study's number was made with is not known."""

_RELEASED = (
    "amazon-book_clean",
    "amazon-book_noisy",
    "ml-1m_clean",
    "ml-1m_noisy",
    "yelp_clean",
    "yelp_noisy",
)


def _report_row(variant: str, num_steps: int) -> Row:
    if variant == "LT-DiffRec":
        return Row(
            1e-4,
            (300,),
            num_steps,
            (0.01, 0.005, 0.01),
            _REPORT,
            200,
            autoencoder_learning_rate=5e-4,
            weights=(0.5, 1.0),
        )
    latent = variant == "L-DiffRec"
    return Row(
        1e-4,
        (300,) if latent else (1000,),
        num_steps,
        (0.1, 0.0001, 0.02),
        _REPORT,
        autoencoder_learning_rate=1e-4 if latent else None,
        weights=(0.1, 1.0) if variant == "T-DiffRec" else None,
    )


REPORT_ROWS: dict[tuple[str, str], Row] = {
    (variant, dataset): _report_row(variant, num_steps)
    for variant, steps in _REPORT_STEPS.items()
    for dataset, num_steps in zip(_RELEASED, steps, strict=True)
    if num_steps is not None
}


def build_config(row: Row) -> RecommenderConfig:
    """Return the whole configuration of a line; what it does not name is as released."""
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
