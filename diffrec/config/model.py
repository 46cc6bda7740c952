"""Hyperparameters of the diffusion recommenders: type, default, unit, description, check.

No torch here: search spaces and `--dry-run` read these classes. A setting without effect in a
combination is refused, never ignored.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from diffrec.config import serialization
from diffrec.config.rules import (
    STEP_LIMIT,
    WIDTH_LIMIT,
    at_least,
    at_most,
    positive,
    require,
    widths,
)
from diffrec.config.temporal import TemporalConfig, Weighting
from diffrec.errors import UserError

__all__ = [
    "AutoencoderConfig",
    "Clustering",
    "DenoiserConfig",
    "DiffusionConfig",
    "Precision",
    "RecommenderConfig",
    "TemporalConfig",
    "TrainingConfig",
    "Weighting",
    "field_paths",
]

Precision = Literal["fp32", "bf16", "auto"]
Clustering = Literal["kmeans", "gaussian_mixture", "agglomerative", "random"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffusionConfig:
    """The Gaussian process that noises and denoises (Wang et al., SIGIR 2023, section 3.1)."""

    num_steps: int = 5
    """Length T of the chain, in steps."""

    beta_schedule: Literal["linear", "linear_variance", "cosine", "binomial"] = "linear_variance"
    """Family of the variances; the released name of `linear_variance` is `linear-var`."""

    noise_scale: float | None = 0.1
    """Factor s on both bounds; 0 switches noising off. None for cosine and binomial."""

    noise_min: float | None = 0.001
    """Lower bound of the noise, before scaling. None for cosine and binomial."""

    noise_max: float | None = 0.01
    """Upper bound of the noise, before scaling. None for cosine and binomial."""

    pin_first_beta: bool = True
    """Set beta_0 to 1e-5. Released: true for DiffRec, false for L-DiffRec (a silent difference)."""

    prediction_target: Literal["x_0", "epsilon"] = "x_0"
    """Quantity that the network predicts."""

    loss_weighting: Literal["elbo", "uniform"] = "elbo"
    """Weight of each step's loss: the evidence bound's, or one."""

    timestep_sampler: Literal["importance", "uniform"] = "importance"
    """How t is drawn in training."""

    num_inference_noise_steps: int = 0
    """Noising steps T' before the reverse chain; 0 starts from the history itself."""

    stochastic_sampling: bool = False
    """Add noise during the reverse chain."""

    def __post_init__(self) -> None:
        at_least("diffusion.num_steps", self.num_steps, 1)
        at_most("diffusion.num_steps", self.num_steps, STEP_LIMIT)
        self._check_noise()
        at_least("diffusion.num_inference_noise_steps", self.num_inference_noise_steps, 0)
        require(
            self.num_inference_noise_steps <= self.num_steps,
            "`diffusion.num_inference_noise_steps <= diffusion.num_steps` must hold, but got "
            f"{self.num_inference_noise_steps} > {self.num_steps}; "
            "shorten the noising or lengthen the chain.",
        )

    def _check_noise(self) -> None:
        names = ("noise_scale", "noise_min", "noise_max")
        if self.beta_schedule in ("cosine", "binomial"):
            for name in names:
                require(
                    getattr(self, name) is None,
                    f"`diffusion.{name}` has no effect with beta_schedule="
                    f"{self.beta_schedule!r}, but got {getattr(self, name)}; set it to None.",
                )
            return
        scale, low, high = self.noise_scale, self.noise_min, self.noise_max
        if scale is None or low is None or high is None:
            missing = next(name for name in names if getattr(self, name) is None)
            raise UserError(
                f"beta_schedule={self.beta_schedule!r} needs `diffusion.{missing}`; give a number."
            )
        at_least("diffusion.noise_scale", scale, 0)
        require(
            0 < low <= high,
            "`0 < diffusion.noise_min <= diffusion.noise_max` must hold, but got "
            f"noise_min={low} and noise_max={high}; exchange or change them.",
        )
        require(
            scale * high < 1,
            "`diffusion.noise_scale * diffusion.noise_max < 1` must hold (a variance below one), "
            f"but got {scale} * {high}; lower one of them.",
        )
        require(
            scale > 0 or (self.loss_weighting, self.prediction_target) == ("uniform", "x_0"),
            "noise_scale=0 leaves no noise to weigh or predict; use loss_weighting='uniform' and "
            "prediction_target='x_0' with it, or a noise_scale above 0.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DenoiserConfig:
    """The network f_theta(x_t, t), an MLP (section 3.3)."""

    hidden_dims: tuple[int, ...] = (1000,)
    """Output side: [200, 600] means input -> 600 -> 200 -> 600 -> output."""

    timestep_embedding_dim: int = 10
    """Size of the sinusoidal step embedding."""

    dropout: float = 0.5
    """Dropout on x_t in training."""

    normalize_input: bool = False
    """L2-normalise x_t per user before dropout."""

    bias_init_std: float = 0.001
    """Standard deviation of the initial biases. Released: 0.001 for DiffRec, 0 for L-DiffRec."""

    def __post_init__(self) -> None:
        require(
            len(self.hidden_dims) > 0 and min(self.hidden_dims) >= 1,
            "`denoiser.hidden_dims` must hold one or more sizes of at least 1, but got "
            f"{list(self.hidden_dims)}.",
        )
        at_least("denoiser.timestep_embedding_dim", self.timestep_embedding_dim, 2)
        at_most("denoiser.timestep_embedding_dim", self.timestep_embedding_dim, WIDTH_LIMIT)
        widths("denoiser.hidden_dims", self.hidden_dims)
        require(
            0 <= self.dropout < 1, f"`0 <= denoiser.dropout < 1` must hold, but got {self.dropout}."
        )
        at_least("denoiser.bias_init_std", self.bias_init_std, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderConfig:
    """Clustered compression of L-DiffRec (section 3.5): one encoder per cluster of items."""

    num_clusters: int = 2
    """How many clusters of items."""

    clustering: Clustering | None = "kmeans"
    """Algorithm on the item embeddings; None exactly when there is one cluster."""

    latent_dim: int = 300
    """Size of the whole latent vector; clusters share it in proportion to their items."""

    encoder_hidden_dims: tuple[int, ...] = ()
    """Hidden sizes between items and latent, shared among clusters like the latent."""

    decoder_hidden_dims: tuple[int, ...] = ()
    """Hidden sizes between latent and items."""

    decoder_per_cluster: bool = False
    """One decoder per cluster on its share of the latent, or one over the whole latent."""

    activation: Literal["tanh", "relu", "sigmoid", "leaky_relu"] = "tanh"
    """After every encoder layer (as released) and between decoder layers."""

    variational: bool = True
    """Sample the latent from the encoder's Gaussian in training."""

    dropout: float = 0.1
    """Dropout on the interactions that are encoded, in training."""

    diffusion_weight: float = 0.03
    """Weight lambda of the diffusion loss in the first epoch."""

    diffusion_weight_min: float = 0.005
    """Lower bound of lambda as it falls."""

    diffusion_weight_anneal_epochs: int = 500
    """Epochs in which lambda would fall to zero; 0 keeps it constant."""

    kl_weight_max: float = 0.3
    """Upper bound of the weight gamma of the KL term."""

    kl_weight_anneal_batches: int = 200
    """Batches in which gamma would rise to one; 0 starts at the bound."""

    learning_rate: float = 5e-4
    """Learning rate of the autoencoder's own AdamW."""

    weight_decay: float = 0.0
    """Weight decay of the autoencoder's own AdamW."""

    def __post_init__(self) -> None:
        at_least("autoencoder.num_clusters", self.num_clusters, 1)
        for name in ("num_clusters", "latent_dim"):
            at_most(f"autoencoder.{name}", getattr(self, name), WIDTH_LIMIT)
        for name in ("encoder_hidden_dims", "decoder_hidden_dims"):
            widths(f"autoencoder.{name}", getattr(self, name))
        require(
            (self.clustering is None) == (self.num_clusters == 1),
            "`autoencoder.clustering` is None exactly when `autoencoder.num_clusters` is 1, but "
            f"got clustering={self.clustering!r} with num_clusters={self.num_clusters}.",
        )
        for name in ("latent_dim", *(n for n in ("encoder_hidden_dims", "decoder_hidden_dims"))):
            sizes = getattr(self, name)
            for size in (sizes,) if isinstance(sizes, int) else sizes:
                require(
                    size >= self.num_clusters,
                    f"`autoencoder.{name}` must give each of the {self.num_clusters} clusters at "
                    f"least one unit, but got {size}; enlarge it or use fewer clusters.",
                )
        require(
            0 <= self.dropout < 1,
            f"`0 <= autoencoder.dropout < 1` must hold, but got {self.dropout}.",
        )
        for name in ("diffusion_weight", "diffusion_weight_min", "kl_weight_max", "weight_decay"):
            at_least(f"autoencoder.{name}", getattr(self, name), 0)
        for name in ("diffusion_weight_anneal_epochs", "kl_weight_anneal_batches"):
            at_least(f"autoencoder.{name}", getattr(self, name), 0)
        positive("autoencoder.learning_rate", self.learning_rate)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """The loop: one epoch is one pass over the users."""

    batch_size: int = 400
    """Users in a batch."""

    learning_rate: float = 1e-4
    """Learning rate of the denoiser's AdamW."""

    weight_decay: float = 0.0
    """Weight decay of the denoiser's AdamW."""

    max_epochs: int = 1000
    """Epochs at most."""

    eval_every: int = 5
    """Epochs between validations."""

    patience: int = 20
    """Epochs without a better validation score after which training stops."""

    precision: Precision = "fp32"
    """Precision of a training step's products, and of the reverse chain where an epoch is validated
    or W is fitted.

    Weights, moments, losses, sums and scores are float32 always, and so is all of the chain when
    test is scored or items are recommended. auto takes bf16 where the hardware multiplies it, for
    models of which it was shown to be as good: those that predict x_0 and learn no weights.
    """

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "eval_every", "patience"):
            at_least(f"training.{name}", getattr(self, name), 1)
        positive("training.learning_rate", self.learning_rate)
        at_least("training.weight_decay", self.weight_decay, 0)
        require(
            self.eval_every <= self.max_epochs,
            "`training.eval_every <= training.max_epochs` must hold, or nothing is ever validated, "
            f"but got {self.eval_every} > {self.max_epochs}.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RecommenderConfig(serialization.SerializableConfig):
    """One recommender and its training: the configuration of a trial."""

    seed: int = 1
    """Root of every random draw of the run."""

    diffusion: DiffusionConfig = DiffusionConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    autoencoder: AutoencoderConfig | None = None
    """None: diffusion over the items themselves."""
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    training: TrainingConfig = TrainingConfig()

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        require(
            not self.temporal.learns_steps or self.diffusion.timestep_sampler == "importance",
            f"temporal.weighting={self.temporal.weighting!r} acts through the importance sampler, "
            f"but diffusion.timestep_sampler is {self.diffusion.timestep_sampler!r}; set it to "
            "'importance'.",
        )
        require(
            self.temporal.inference_scale == 1
            or not self.denoiser.normalize_input
            or self.autoencoder is not None,
            "`temporal.inference_scale` has no effect with denoiser.normalize_input, but got "
            f"{self.temporal.inference_scale}; leave it at 1.",
        )

    @property
    def variant(self) -> str:
        """The published name of the combination, with `+weighting` where there is none."""
        latent = "L" if self.autoencoder is not None else ""
        linear = "T" if self.temporal.history_weighting == "linear" else ""
        name = f"{latent}{linear}-DiffRec" if latent or linear else "DiffRec"
        is_published = self.temporal.weighting in ("none", "linear")
        return name if is_published else f"{name}+{self.temporal.weighting.removeprefix('linear_')}"


def field_paths(cls: type = RecommenderConfig) -> dict[str, Any]:
    """Map every dotted path of the configuration to its type."""
    return serialization.field_types(cls)
