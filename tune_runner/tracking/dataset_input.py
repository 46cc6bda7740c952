"""The dataset of a study as MLflow's pages show inputs of a run: name, digest, counts."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from diffrec.data import Dataset

_DIGEST = 12
"""Characters of the dataset's SHA-256 that MLflow shows; it takes 36 at most."""


def describe_dataset(dataset: "Dataset", folder: str | None) -> dict[str, str]:
    """Return what MLflow keeps of a dataset, to be sent with a message.

    Args:
        dataset: its counts are recorded as the profile.
        folder: where its files lie; None: it comes with this project.
    """
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    counts = {"num_users": dataset.train.num_users, "num_items": dataset.train.num_items}
    counts |= {f"num_{name}_interactions": int(part.nnz) for name, part in parts.items()}
    return {
        "name": f"{dataset.name} ({dataset.protocol})",
        "digest": digest_of(dataset.sha256),
        "source_type": "local",
        "source": json.dumps({"uri": folder or "diffrec"}),
        "profile": json.dumps(counts),
    }


def digest_of(sha256: str) -> str:
    """Return the digest of a dataset that MLflow shows."""
    return sha256[:_DIGEST]


def log_dataset(client: "MlflowClient", run: str, described: Mapping[str, str] | None) -> None:
    """Record the dataset as the run's input; MLflow keeps one that it has already."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if described is not None:
        context = InputTag("mlflow.data.context", "training")
        client.log_inputs(run, [DatasetInput(Dataset(**described), [context])])
