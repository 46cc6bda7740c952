"""What a worker trains with. Torch is loaded here, in workers, and not in the driver.

The driver only describes trials; without torch and scikit-learn it starts ten CPU seconds sooner.
"""

from typing import TYPE_CHECKING, Any

from diffrec.families import AnyConfig
from tune_runner.placement import Cluster, Placement

if TYPE_CHECKING:
    from diffrec.data import Dataset, Interactions, TuningSplit
    from diffrec.training.fused import FusedRuns


class Engine:
    """The real one; tests put a fake in its place."""

    def build_run(self, config: AnyConfig, split: "TuningSplit", *, device: str) -> Any:
        """Return a fresh training run."""
        from diffrec.training.run import build_run

        return build_run(config, split, device=device)

    def fuse(self) -> "FusedRuns":
        """Return what trains runs as one computation, without members yet."""
        from diffrec.training.fused import FusedRuns

        return FusedRuns()

    def gain_of_fusing(
        self,
        config: AnyConfig,
        dataset: "Dataset",
        placement: Placement,
        count: int,
        *,
        cluster: Cluster | None,
    ) -> float:
        """Return how many times the trials an hour fusing `count` gives, where trials run."""
        from tune_runner.fusing import measured_gain

        return measured_gain(config, dataset, placement, count, cluster=cluster)

    def test_metrics(self, run: Any, test: "Interactions") -> dict[str, float]:
        """Score the run's best-validation state on the test interactions."""
        from diffrec.training.run import test_metrics

        return test_metrics(run, test)
