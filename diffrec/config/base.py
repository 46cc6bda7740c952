"""Base of every recommender's configuration, whatever its family; no torch."""

from typing import ClassVar

from diffrec.config.serialization import SerializableConfig


class ModelConfig(SerializableConfig):
    """Base of every recommender's configuration.

    A subclass is a frozen dataclass whose fields are the hyperparameters; one that is trained by
    gradient has a field `training: TrainingConfig`. The methods below are optional.
    """

    __slots__ = ()

    model: ClassVar[str]
    """Its model as `module:Class`, imported when a model is built: no torch before."""

    stack: ClassVar[str] = "diffrec.training.fused.stack:RunStack"
    """Class that trains runs of an equal `fusion_key` as one computation, as `module:Class`."""

    seed: int
    """Root of every random draw of the run."""

    @property
    def variant(self) -> str:
        """The name in tables."""
        return type(self).__name__

    @property
    def is_bf16_validated(self) -> bool:
        """True where training in bfloat16 was compared with float32 and found as good."""
        return False

    @property
    def needs_embeddings(self) -> bool:
        """True if the recommender clusters the items by their embeddings."""
        return False

    def fusion_key(self) -> str | None:
        """Return a key that is equal for runs that can be trained together; None: trains alone."""
        return None

    def estimate_bytes(self, num_users: int, num_items: int, *, fused: bool = False) -> float:
        """Return the estimated peak memory of training in bytes, without data and libraries.

        0, as here: unknown, or too little to count; `--probe` and `auto` measure it either way.

        Args:
            num_users: users of the train list.
            num_items: width of the interaction vectors.
            fused: trained as one computation with others.
        """
        return 0.0
