"""Hyperparameters of the graph-signal diffusion; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from diffrec.config import ExternalConfig, TrainingConfig
from diffrec.config.rules import at_least, require

_TRAINING = TrainingConfig(learning_rate=1e-3, max_epochs=300, eval_every=5, patience=40)


@dataclass(frozen=True, kw_only=True, slots=True)
class GiffCFConfig(ExternalConfig):
    """A chain that smooths a history over the item graph, and a network that sharpens it again."""

    name: ClassVar[str] = "GiffCF"
    model: ClassVar[str] = "giffcf.model:GiffCF"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "embedded": {"dim": 64, "rank": 32, "training.batch_size": 100}
    }

    num_steps: int = 3
    """Length T of the chain, in steps."""

    smoothing: float = 1.0
    """How far the last step is smoothed: 0 leaves the history as it is, 1 replaces it by the
    filtered one."""

    noise_scale: float = 0.0
    """Standard deviation of the Gaussian noise at the last step."""

    low_pass: float = 0.3
    """Weight of the ideal low-pass filter beside the graph's adjacency."""

    rank: int = 200
    """Frequencies that the ideal low-pass filter keeps."""

    dim: int = 200
    """Size of the item embeddings."""

    dropout: float = 0.5
    """Dropout on the history that the network is conditioned on, in training."""

    training: TrainingConfig = _TRAINING

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        for name in ("num_steps", "rank", "dim"):
            at_least(name, getattr(self, name), 1)
        for name in ("smoothing", "noise_scale", "low_pass"):
            at_least(name, getattr(self, name), 0)
        require(self.smoothing <= 1, f"`smoothing <= 1` must hold, but got {self.smoothing}.")
        require(0 <= self.dropout < 1, f"`0 <= dropout < 1` must hold, but got {self.dropout}.")

    def estimate_bytes(self, num_users: int, num_items: int, *, fused: bool = False) -> float:
        """Return the estimated peak memory: the filter, the weights and a batch, in bytes."""
        rows = min(self.training.batch_size, num_users)
        return 4.0 * (3 * num_items**2 + 10 * num_items * self.dim + 40 * rows * num_items)
