"""Training backend of a worker. Torch is loaded here, in workers, and not in the driver.

The driver only describes trials; without torch and scikit-learn it starts ten CPU seconds sooner.
"""

from typing import TYPE_CHECKING, Any

from diffrec.config.base import ModelConfig
from tune_runner.schema import USERS_FILE, USERS_KEPT, USERS_METRIC

if TYPE_CHECKING:
    from diffrec.data import Interactions, TuningSplit
    from diffrec.evaluation.ranking import UserResults
    from diffrec.training.fused.runs import FusedRuns


class TrainingBackend:
    """Builds, trains and scores runs with torch. Tests replace it with a fake."""

    def build_run(self, config: ModelConfig, split: "TuningSplit", *, device: str) -> Any:
        """Return a fresh training run."""
        from diffrec.training.runs import build_run

        return build_run(config, split, device=device)

    def fuse(self) -> "FusedRuns":
        """Return an empty group of runs that are trained as one computation."""
        from diffrec.training.fused.runs import FusedRuns

        return FusedRuns()

    def test(
        self, run: Any, test: "Interactions"
    ) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
        """Score the run's best-validation state on the test interactions, once.

        Returns:
            The metrics, and the artifact of single users' results, by name of its file.
        """
        from diffrec.training.runs import metrics_with_valid, user_test_scores

        scores = user_test_scores(run, test)
        metrics = {f"test/{name}": value for name, value in scores.means().items()}
        metrics |= metrics_with_valid(run, test)
        return metrics, {USERS_FILE: _user_sample(scores)} if len(scores.users) else {}


def _user_sample(scores: "UserResults") -> dict[str, Any]:
    """Return the metric of at most `USERS_KEPT` users, the same ones in every trial."""
    import numpy as np

    rows = np.arange(len(scores.users))
    if len(rows) > USERS_KEPT:
        rows = np.sort(np.random.default_rng(0).choice(rows, USERS_KEPT, replace=False))
    values = scores.values[USERS_METRIC][rows]
    return {
        "metric": USERS_METRIC,
        "users": scores.users[rows].tolist(),
        "values": [round(float(value), 6) for value in values],
    }
