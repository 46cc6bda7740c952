"""Hyperparameters of the diffusion recommenders: type, default, unit, description, check.

No torch here: search spaces and `--dry-run` read these classes. A setting without effect in a
combination is refused, never ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from diffrec.config import memory, serialization
from diffrec.config.autoencoder import AutoencoderConfig, Clustering
from diffrec.config.base import ModelConfig
from diffrec.config.fusion import diffusion_fusion_key
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
class RecommenderConfig(ModelConfig):
    """One recommender and its training: the configuration of a trial."""

    model: ClassVar[str] = "diffrec.models.recommender:DiffusionRecommender"

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

    @property
    def is_bf16_validated(self) -> bool:
        """True for the four published variants: they predict x_0 and learn no temporal weights.

        Bfloat16 was compared with float32 on these, seed by seed (benchmarks/precision.py).
        """
        return self.diffusion.prediction_target == "x_0" and self.temporal.is_static

    @property
    def needs_embeddings(self) -> bool:
        """True if the items are clustered by their embeddings."""
        return self.autoencoder is not None and self.autoencoder.clustering is not None

    def fusion_key(self) -> str:
        """Return a key that is equal for runs that can be trained together.

        They may still differ in their cluster sizes, which are known once the models are built
        (`FusedRuns.takes`).
        """
        return diffusion_fusion_key(self.to_dict())

    def estimate_bytes(self, num_users: int, num_items: int, *, fused: bool = False) -> float:
        """Return the estimated peak memory of training in bytes, without data and libraries.

        Fused, a wide layer's gradient does not come in pieces, and an item space has no tensors
        that share memory.
        """
        over_items = self.autoencoder is None and not fused
        widest = memory.FLOAT_BYTES * num_items * self.denoiser.hidden_dims[-1]
        is_wide = over_items and widest >= memory.WIDE_BYTES
        return memory.trained_bytes(
            self.layer_widths(num_items),
            min(self.training.batch_size, num_users),
            copies=memory.WIDE_COPIES if is_wide else memory.COPIES,
            activations=memory.ITEM_ACTIVATIONS if over_items else memory.ACTIVATIONS,
        )

    def layer_widths(self, num_items: int) -> list[list[int]]:
        """Return the widths from input to output of each chain of layers."""
        dim = num_items if self.autoencoder is None else self.autoencoder.latent_dim
        into = dim + self.denoiser.timestep_embedding_dim
        chains = [[into, *mirrored(self.denoiser.hidden_dims), dim]]
        if self.autoencoder is not None:
            chains += self.autoencoder.layer_widths(num_items)
        return chains


def mirrored(hidden_dims: tuple[int, ...]) -> list[int]:
    """Return hidden sizes as the network has them: [200, 600] is 600, 200, 600."""
    return [*reversed(hidden_dims), *hidden_dims[1:]]


def field_paths(cls: type = RecommenderConfig) -> Mapping[str, Any]:
    """Map every dotted path of the configuration to its type."""
    return serialization.field_types(cls)
