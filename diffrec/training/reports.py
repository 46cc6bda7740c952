"""Report of a run after every epoch, the same for all families of recommenders."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochReport:
    """Loss, time and validation metrics of one epoch."""

    epoch: int
    """Number of the epoch, one-based."""

    loss: float
    """Mean training loss over the batches."""

    seconds: float
    """Seconds of training, without validation."""

    metrics: dict[str, float] | None
    """Validation metrics by name (`valid/recall@20`); None between validations."""

    is_best: bool
    """True if this validation is the best so far."""

    finished: bool
    """True if the run ends here, by patience or at its last epoch."""
