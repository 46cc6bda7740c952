"""Hyperparameters of the clustered autoencoder of L-DiffRec; no torch."""

from dataclasses import dataclass
from typing import Literal

from diffrec.config.rules import WIDTH_LIMIT, at_least, at_most, positive, require, widths

Clustering = Literal["kmeans", "gaussian_mixture", "agglomerative", "random"]


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

    def layer_widths(self, num_items: int) -> list[list[int]]:
        """Return the widths of both halves as if the clusters were of one size.

        With one cluster that is exact.
        """
        count = self.num_clusters

        def share(sizes: tuple[int, ...]) -> list[int]:
            return [size // count for size in sizes]

        outputs = 2 * self.latent_dim if self.variational else self.latent_dim
        encoder = [num_items // count, *share(self.encoder_hidden_dims), outputs // count]
        decoders = count if self.decoder_per_cluster else 1
        hidden = [size // decoders for size in self.decoder_hidden_dims]
        decoder = [self.latent_dim // decoders, *hidden, num_items // decoders]
        return [encoder] * count + [decoder] * decoders
