"""Hyperparameters of the baselines: type, default, meaning, check; no torch.

Each family is a flat configuration with the interface of `RecommenderConfig` (`to_dict`,
`from_dict`, `replace_values`, `variant`, `seed`) and names itself in the field `family`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from diffrec.config import memory
from diffrec.config.base import ModelConfig
from diffrec.config.model import TrainingConfig
from diffrec.config.rules import WIDTH_LIMIT, at_most, require, widths

_MULT_VAE_TRAINING = TrainingConfig(learning_rate=1e-3)


def _check_seed(seed: int) -> None:
    require(seed >= 0, f"`seed >= 0` must hold, but got {seed}.")


def _check_half_life(half_life: float | None) -> None:
    require(
        half_life is None or half_life > 0,
        f"`half_life > 0` must hold, but got {half_life}; None weighs every item alike.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PopularityConfig(ModelConfig):
    """The same ranking for everyone: items by their number of train interactions."""

    model: ClassVar[str] = "diffrec.models.baselines.closed_form:Popularity"

    family: Literal["popularity"] = "popularity"
    seed: int = 1
    """Without effect: nothing is drawn by chance. Studies replicate every family by seed."""

    def __post_init__(self) -> None:
        _check_seed(self.seed)

    @property
    def variant(self) -> str:
        """The name in tables."""
        return "Popularity"


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemKNNConfig(ModelConfig):
    """Cosine of the items' users, shrunk for rare items (Sarwar et al., WWW 2001)."""

    model: ClassVar[str] = "diffrec.models.baselines.closed_form:ItemKNN"

    family: Literal["item_knn"] = "item_knn"
    seed: int = 1
    """Without effect: nothing is drawn by chance."""

    num_neighbours: int = 100
    """Most similar items kept of each item."""

    shrinkage: float = 0.0
    """Added to the cosine's denominator: doubt about items with few users."""

    half_life: float | None = None
    """Age in items at which a history item counts half; None: all count one."""

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_half_life(self.half_life)
        require(
            self.num_neighbours >= 1,
            f"`num_neighbours >= 1` must hold, but got {self.num_neighbours}.",
        )
        require(self.shrinkage >= 0, f"`shrinkage >= 0` must hold, but got {self.shrinkage}.")

    @property
    def variant(self) -> str:
        """The name in tables."""
        return "ItemKNN" if self.half_life is None else "RecencyItemKNN"


@dataclass(frozen=True, kw_only=True, slots=True)
class EASEConfig(ModelConfig):
    """A linear autoencoder with zero diagonal, in closed form (Steck, WWW 2019)."""

    model: ClassVar[str] = "diffrec.models.baselines.closed_form:EASE"

    family: Literal["ease"] = "ease"
    seed: int = 1
    """Without effect: nothing is drawn by chance."""

    regularization: float = 1000.0
    """Lambda: added to the diagonal of the Gram matrix."""

    half_life: float | None = None
    """Age in items at which a history item counts half in a query; None: all count one.

    The weights are learned from the whole binary history either way.
    """

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_half_life(self.half_life)
        require(
            self.regularization > 0,
            f"`regularization > 0` must hold, or the Gram matrix may be singular, but got "
            f"{self.regularization}.",
        )

    @property
    def variant(self) -> str:
        """The name in tables."""
        return "EASE" if self.half_life is None else "RecencyEASE"

    def estimate_bytes(self, num_users: int, num_items: int, *, fused: bool = False) -> float:
        """Return the estimated peak memory of solving, in bytes."""
        return memory.gram_bytes(num_items)


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectedRidgeConfig(ModelConfig):
    """A linear map from the weighted past to the discounted future, in closed form (ours)."""

    model: ClassVar[str] = "diffrec.models.baselines.directed_ridge:DirectedRidge"

    family: Literal["directed_ridge"] = "directed_ridge"
    seed: int = 1
    """Without effect: nothing is drawn by chance."""

    regularization: float = 300.0
    """Lambda: added to the diagonal of the past's Gram matrix."""

    past_half_life: float = 3.0
    """Age in items at which a past interaction counts half, in training and when queried."""

    future_half_life: float = 8.0
    """Wait in items at which a future interaction counts half."""

    past_items: int = 32
    """Newest interactions of a past."""

    future_items: int = 80
    """Next interactions of a future."""

    user_exponent: float = 0.5
    """A user of n interactions has weight n^-user_exponent: 0 counts interactions, 1 users."""

    popularity_exponent: float = 0.1
    """Scores are divided by (1 + train interactions of the item)^popularity_exponent."""

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        for name in ("regularization", "past_half_life", "future_half_life"):
            require(
                getattr(self, name) > 0, f"`{name} > 0` must hold, but got {getattr(self, name)}."
            )
        for name, low in (
            ("past_items", 1),
            ("future_items", 1),
            ("user_exponent", 0),
            ("popularity_exponent", 0),
        ):
            require(
                getattr(self, name) >= low,
                f"`{name} >= {low}` must hold, but got {getattr(self, name)}.",
            )

    @property
    def variant(self) -> str:
        """The name in tables."""
        return "DirectedRidge"

    def estimate_bytes(self, num_users: int, num_items: int, *, fused: bool = False) -> float:
        """Return the estimated peak memory of solving, in bytes."""
        return memory.gram_bytes(num_items)


@dataclass(frozen=True, kw_only=True, slots=True)
class MultVAEConfig(ModelConfig):
    """A variational autoencoder with multinomial likelihood (Liang et al., WWW 2018)."""

    model: ClassVar[str] = "diffrec.models.baselines.mult_vae:MultVAE"

    family: Literal["mult_vae"] = "mult_vae"
    seed: int = 1
    """Root of every random draw of the run."""

    hidden_dims: tuple[int, ...] = (600,)
    """Hidden sizes between items and latent; the decoder mirrors them."""

    latent_dim: int = 200
    """Size of the Gaussian latent."""

    dropout: float = 0.5
    """Dropout on the normalised history, in training."""

    kl_weight_max: float = 0.2
    """Upper bound of the weight of the KL term (the paper's beta)."""

    kl_weight_anneal_batches: int = 2000
    """Batches in which the weight rises to its bound; 0 starts there."""

    training: TrainingConfig = _MULT_VAE_TRAINING

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        sizes = (*self.hidden_dims, self.latent_dim)
        widths("hidden_dims", self.hidden_dims)
        at_most("latent_dim", self.latent_dim, WIDTH_LIMIT)
        require(
            min(sizes) >= 1,
            f"`hidden_dims` and `latent_dim` must be at least 1, but got {list(sizes)}.",
        )
        require(0 <= self.dropout < 1, f"`0 <= dropout < 1` must hold, but got {self.dropout}.")
        for name in ("kl_weight_max", "kl_weight_anneal_batches"):
            require(
                getattr(self, name) >= 0,
                f"`{name} >= 0` must hold, but got {getattr(self, name)}.",
            )

    @property
    def variant(self) -> str:
        """The name in tables."""
        return "MultVAE"

    def estimate_bytes(self, num_users: int, num_items: int, *, fused: bool = False) -> float:
        """Return the estimated peak memory of training in bytes, without data and libraries."""
        rows = min(self.training.batch_size, num_users)
        return memory.trained_bytes(self.layer_widths(num_items), rows)

    def layer_widths(self, num_items: int) -> list[list[int]]:
        """Return the widths from input to output of encoder and decoder."""
        inward = [num_items, *self.hidden_dims]
        return [[*inward, 2 * self.latent_dim], [self.latent_dim, *reversed(inward)]]
