"""Hyperparameters of the forecasting recommenders (F-DiffRec, LF-DiffRec); no torch.

They are trained to predict a user's future from the past: a train history is cut, the network sees
the recency-weighted past and predicts the discounted future. The diffusion process between the two
is a bridge (`diffrec.diffusion.bridge`).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from diffrec.config import AutoencoderConfig, TrainingConfig, memory
from diffrec.config.base import ModelConfig
from diffrec.config.baselines import _check_seed
from diffrec.config.model import mirrored
from diffrec.config.rules import at_least, positive, require

_SCORES = 4
"""Matrices over the items of a step: scores, a temporary of their log-sum, noise, and dense ends
where there is an autoencoder."""

CELLS_PER_PIECE = 2**25
"""Scores of a batch computed at a time, 128 MiB in float32. A larger batch is split into rows whose
gradients are added, so memory does not grow with batch times items."""

FORECASTING_TRAINING = TrainingConfig(
    learning_rate=1e-3, weight_decay=0.01, max_epochs=300, eval_every=5, patience=60
)
"""Patience is long because the network starts slowly: on ml-1m_clean validation still rises after
100 epochs, and a patience of 20 ended it at half of its final score."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeConfig:
    """Brownian bridge between the future x_0 and the past y: x_T is the past itself.

    x_t = (1 - s_t) x_0 + s_t (y + end_noise * e) + noise_scale * sqrt(s_t (1 - s_t)) * e'.
    """

    num_steps: int = 1
    """Length T of the chain, in steps. One step predicts the future from the past at once."""

    schedule: Literal["linear", "cosine"] = "linear"
    """How the share s_t of the past rises from 0 to 1: t / T, or (1 - cos(pi t / T)) / 2."""

    noise_scale: float = 0.0
    """Noise inside the bridge, which is pinned at both ends. It needs two steps or more."""

    end_noise: float = 0.0
    """Standard deviation of the Gaussian noise on the past in training."""

    timestep_sampler: Literal["importance", "uniform"] = "uniform"
    """How the step t of a training row is drawn."""

    loss_weighting: Literal["elbo", "uniform"] = "uniform"
    """Weight of each step's loss: the evidence bound's, or one."""

    stochastic_sampling: bool = False
    """Add the posterior's noise in the reverse chain."""

    def __post_init__(self) -> None:
        at_least("bridge.num_steps", self.num_steps, 1)
        at_least("bridge.noise_scale", self.noise_scale, 0)
        at_least("bridge.end_noise", self.end_noise, 0)
        if self.num_steps == 1:
            for name, default in (
                ("schedule", "linear"),
                ("noise_scale", 0.0),
                ("timestep_sampler", "uniform"),
            ):
                require(
                    getattr(self, name) == default,
                    f"`bridge.{name}` has no effect with a single step, whose x_t is the past "
                    f"itself, but got {getattr(self, name)!r}; leave it at {default!r}, or use "
                    "more steps.",
                )
        for name in ("loss_weighting", "stochastic_sampling"):
            require(
                self.noise_scale > 0 or getattr(self, name) in ("uniform", False),
                f"`bridge.{name}` = {getattr(self, name)!r} needs a noise inside the bridge, but "
                "`bridge.noise_scale` is 0; set it above 0.",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastTaskConfig:
    """Task that the network learns: the future of a cut history from its past."""

    cuts: Literal["interactions", "users", "fixed"] = "interactions"
    """Rule for the place of a cut. `interactions`: after any interaction that has a successor, all
    equally likely, so long histories are cut more often. `users`: a user drawn uniformly, then any
    place. `fixed`: a user drawn uniformly, always after 80 % of the history."""

    past_half_life: float = 5.0
    """Age in items at which a past interaction counts half, in training and when the trained
    network is queried; a very large one, such as 1e6, weighs all alike."""

    past_items: int = 32
    """Newest interactions of the past that the network sees."""

    past_dropout: float = 0.2
    """Share of the past that is left out in training; the newest interaction always stays."""

    future_half_life: float = 8.0
    """Wait in items at which a future interaction counts half; a very large one weighs all
    alike."""

    future_items: int = 80
    """Next interactions after the cut that are predicted."""

    mask_past: bool = True
    """Leave items of the past out of the loss: they are no candidates, as in the ranking."""

    loss: Literal["multinomial", "squared_error"] = "multinomial"
    """Negative log likelihood of the discounted future, or mean squared error."""

    num_negatives: int | None = None
    """Items drawn for each batch, beside those that it predicts, over which the multinomial's
    normaliser is estimated without bias; None: all items. For catalogues of 100,000 and more."""

    def __post_init__(self) -> None:
        for name in ("past_items", "future_items"):
            at_least(f"forecast.{name}", getattr(self, name), 1)
        if self.num_negatives is not None:
            at_least("forecast.num_negatives", self.num_negatives, 1)
            require(
                self.loss == "multinomial",
                "`forecast.num_negatives` estimates the multinomial's normaliser, but "
                f"`forecast.loss` is {self.loss!r}; set it to None.",
            )
        for name in ("past_half_life", "future_half_life"):
            positive(f"forecast.{name}", getattr(self, name))
        require(
            0 <= self.past_dropout < 1,
            f"`0 <= forecast.past_dropout < 1` must hold, but got {self.past_dropout}.",
        )
        require(
            self.past_dropout == 0 or self.past_items > 1,
            "`forecast.past_dropout` has no effect with `forecast.past_items` = 1, since the "
            f"newest interaction always stays, but got {self.past_dropout}; set it to 0.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastDenoiserConfig:
    """Network f(x_t, t): a linear layer with a bias per step, tanh, dropout, a linear layer."""

    hidden_dims: tuple[int, ...] = (300,)
    """Output side: [200, 600] means input -> 600 -> 200 -> 600 -> output."""

    dropout: float = 0.3
    """Dropout on every hidden layer in training."""

    input_init_scale: float = 3.0
    """Factor on the Xavier standard deviation of the first layer's initial weights: few items are
    seen at a time."""

    def __post_init__(self) -> None:
        require(
            len(self.hidden_dims) > 0 and min(self.hidden_dims) >= 1,
            "`denoiser.hidden_dims` must hold one or more sizes of at least 1, but got "
            f"{list(self.hidden_dims)}.",
        )
        require(
            0 <= self.dropout < 1, f"`0 <= denoiser.dropout < 1` must hold, but got {self.dropout}."
        )
        positive("denoiser.input_init_scale", self.input_init_scale)


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastingConfig(ModelConfig):
    """A forecasting recommender and its training."""

    model: ClassVar[str] = "diffrec.models.forecasting:ForecastingRecommender"

    family: Literal["forecasting"] = "forecasting"
    seed: int = 1
    """Root of every random draw of the run."""

    forecast: ForecastTaskConfig = ForecastTaskConfig()
    bridge: BridgeConfig = BridgeConfig()
    denoiser: ForecastDenoiserConfig = ForecastDenoiserConfig()
    autoencoder: AutoencoderConfig | None = None
    """None: the bridge is over the items themselves; else over the clustered latent."""
    training: TrainingConfig = FORECASTING_TRAINING

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        latent, loss = self.autoencoder is not None, self.forecast.loss
        require(
            not latent or loss == "multinomial",
            "The autoencoder's loss is the multinomial likelihood, but `forecast.loss` is "
            f"{loss!r}; set it to 'multinomial', or leave the autoencoder out.",
        )
        require(
            not latent or self.forecast.num_negatives is None,
            "The autoencoder decodes all items, so `forecast.num_negatives` has no effect with it, "
            f"but got {self.forecast.num_negatives}; set it to None.",
        )
        require(
            latent or loss == "squared_error" or self.bridge.loss_weighting == "uniform",
            "The evidence bound of a Gaussian bridge is a weighted squared error, but "
            f"`forecast.loss` is {loss!r}; use bridge.loss_weighting='uniform' with it.",
        )
        require(
            self.training.precision != "bf16",
            "`training.precision` = 'bf16' was never compared with float32 for forecasting "
            "recommenders; use 'fp32' or 'auto'.",
        )

    @property
    def variant(self) -> str:
        """The name in tables."""
        return "F-DiffRec" if self.autoencoder is None else "LF-DiffRec"

    @property
    def needs_embeddings(self) -> bool:
        """True if the items are clustered by their embeddings."""
        return self.autoencoder is not None and self.autoencoder.clustering is not None

    def estimate_bytes(self, num_users: int, num_items: int, *, fused: bool = False) -> float:
        """Return the estimated peak memory of training in bytes, without data and libraries."""
        rows = min(self.training.batch_size, num_users)
        scores = _SCORES * min(rows * num_items, CELLS_PER_PIECE)
        weights = memory.COPIES * memory.num_weights(self.layer_widths(num_items))
        return float(memory.FLOAT_BYTES * (weights + scores))

    def layer_widths(self, num_items: int) -> list[list[int]]:
        """Return the widths from input to output of each chain of layers."""
        dim = num_items if self.autoencoder is None else self.autoencoder.latent_dim
        chains = [[dim, *mirrored(self.denoiser.hidden_dims), dim]]
        if self.autoencoder is not None:
            chains += self.autoencoder.layer_widths(num_items)
        return chains
