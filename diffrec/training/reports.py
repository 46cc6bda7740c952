"""What a run says after every epoch; whatever trains or solves a model speaks this."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one epoch was like."""

    epoch: int
    """One-based."""

    loss: float
    """Mean training loss over the batches."""

    seconds: float
    """Of training, without validation."""

    metrics: dict[str, float] | None
    """`valid/recall@20` and so on; None between validations."""

    is_best: bool
    """Whether this validation is the best so far."""

    finished: bool
    """Whether the run ends here (patience or the last epoch)."""
