"""Everything at once: what is the best that a diffusion recommender can do on this data?

Variant, noise, chain, autoencoder, temporal weights and learning rate, each sampled only where it
is active. The first trial is the published configuration of DiffRec, so whatever the search
finds is compared with it. Poor trials are pruned early (median pruner): this
space looks for the best, and its cells are not to be compared with each other.
"""

from search_spaces.definition import Condition
from search_spaces.domains import Choice, FractionOf, IntUniform, LogUniform, ScaledFrom, Uniform
from search_spaces.space import SearchSpace

_LATENT = ("L-DiffRec", "LT-DiffRec")
_LINEAR = Condition("diffusion.beta_schedule", ("linear", "linear_variance"))
_HAS_CLUSTERS = Condition("variant", _LATENT)

SPACE = SearchSpace(
    name="joint",
    question=(
        "Which variant with which noise, chain, clusters, temporal weights and learning rate "
        "recommends best?"
    ),
    domains={
        "variant": Choice(
            "DiffRec",
            "T-DiffRec",
            "L-DiffRec",
            "LT-DiffRec",
            "DiffRec+exponential",
            "DiffRec+learned_recency",
        ),
        "diffusion.beta_schedule": Choice("linear_variance", "linear", "cosine", "binomial"),
        "diffusion.noise_scale": LogUniform(1e-4, 1.0),
        "diffusion.noise_min": LogUniform(1e-4, 1e-2),
        "diffusion.noise_max": ScaledFrom("diffusion.noise_min", LogUniform(1.0, 50.0)),
        "diffusion.num_steps": IntUniform(2, 100, log=True),
        "diffusion.num_inference_noise_steps": FractionOf("diffusion.num_steps"),
        "training.learning_rate": LogUniform(1e-5, 1e-2),
        "denoiser.dropout": Uniform(0.1, 0.8),
        "autoencoder.num_clusters": Choice(1, 2, 3, 4, 5),
        "autoencoder.clustering": Choice("kmeans", "gaussian_mixture", "agglomerative"),
        "autoencoder.learning_rate": LogUniform(1e-4, 1e-2),
        "temporal.weight_min": Uniform(0.05, 0.95),
        "temporal.half_life": LogUniform(1.0, 200.0),
        "temporal.ltw_learning_rate": LogUniform(1e-3, 0.2),
    },
    conditions={
        "diffusion.noise_scale": _LINEAR,
        "diffusion.noise_min": _LINEAR,
        "diffusion.noise_max": _LINEAR,
        "autoencoder.num_clusters": _HAS_CLUSTERS,
        "autoencoder.clustering": Condition("autoencoder.num_clusters", IntUniform(2, 5)),
        "autoencoder.learning_rate": _HAS_CLUSTERS,
        "temporal.weight_min": Condition("variant", ("T-DiffRec", "LT-DiffRec")),
        "temporal.half_life": Condition("variant", ("DiffRec+exponential",)),
        "temporal.ltw_learning_rate": Condition("variant", ("DiffRec+learned_recency",)),
    },
    strategy="tpe",
    trials=60,
    pruner="median",
    start_published=True,
)
