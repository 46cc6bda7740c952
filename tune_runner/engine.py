"""What a worker trains with. Torch is loaded here, in workers, and not in the driver.

The driver only describes trials; without torch and scikit-learn it starts ten CPU seconds sooner.
"""

from typing import TYPE_CHECKING, Any

from diffrec.families import AnyConfig

if TYPE_CHECKING:
    from diffrec.data import Interactions, TuningSplit


class Engine:
    """The real one; tests put a fake in its place."""

    def build_run(self, config: AnyConfig, split: "TuningSplit", *, device: str) -> Any:
        """Return a fresh training run."""
        from diffrec.training.run import build_run

        return build_run(config, split, device=device)

    def test_metrics(self, run: Any, test: "Interactions") -> dict[str, float]:
        """Score the run's best-validation state on the test interactions."""
        from diffrec.training.run import test_metrics

        return test_metrics(run, test)
