"""File of a trained recommender: weights, configuration, and the data it was trained on."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import torch

from diffrec.config.base import ModelConfig
from diffrec.config.families import parse_config
from diffrec.data.interactions import Dataset
from diffrec.errors import UserError
from diffrec.models.base import Recommender
from diffrec.models.registry import recommender_class
from diffrec.training.runs import Run

_DATASET_FIELDS = ("name", "sha256", "protocol")
"""Fields that describe a checkpoint's dataset, as text."""

FORMAT = "diffrec-checkpoint-1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Content of a file; a tuning trial's own checkpoint has only the first two fields."""

    config: ModelConfig
    state: dict[str, torch.Tensor]
    dataset: dict[str, Any] = field(default_factory=dict)
    """Name, sha256, protocol and num_items of the training data."""

    best_epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def build(self, num_items: int, device: str = "cpu") -> Recommender:
        """Return the recommender with its trained weights.

        Raises:
            UserError: the dataset has another number of items than the training data.
        """
        try:
            model = recommender_class(self.config).restore(self.config, num_items, self.state)
        except (RuntimeError, KeyError) as error:
            clusters = self.state.get("autoencoder.cluster_ids", ())
            trained_on = self.dataset.get("num_items") or len(clusters) or "another number of"
            raise UserError(
                f"The checkpoint was trained on {trained_on} items, but the dataset has "
                f"{num_items}; name the dataset it was trained on."
            ) from error
        return model.to(device).eval()


def save_checkpoint(path: Path, run: Run, dataset: Dataset, metrics: dict[str, float]) -> None:
    """Write the best-validation state of a finished run.

    Raises:
        OSError: it cannot be written. (Writing to a path itself, PyTorch would not say why.)
    """
    run.restore_best()
    about = {
        "name": dataset.name,
        "sha256": dataset.sha256,
        "protocol": dataset.protocol,
        "num_items": dataset.num_items,
    }
    state = run.model.state_dict()
    write_checkpoint(path, Checkpoint(run.config, state, about, run.best_epoch, metrics))


def write_checkpoint(path: Path, checkpoint: Checkpoint, *, family: str | None = None) -> None:
    """Write a file that `load_checkpoint` reads.

    Args:
        path: of the file.
        checkpoint: its content.
        family: name by which the reader finds the configuration's class; None: its own.

    Raises:
        OSError: it cannot be written.
    """
    config = checkpoint.config.to_dict()
    if family is not None:
        config["family"] = family
    content = io.BytesIO()
    torch.save(
        {
            "format": FORMAT,
            "config": config,
            "dataset": checkpoint.dataset,
            "best_epoch": checkpoint.best_epoch,
            "metrics": checkpoint.metrics,
            "model": checkpoint.state,
        },
        content,
    )
    path.write_bytes(content.getbuffer())


def load_checkpoint(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Read a file of `save_checkpoint`, or a tuning trial's `state.pt`, without running code in it.

    Args:
        path: the file.
        trusted: whether the file of a recommender that it names may be run (`external_class`).

    Raises:
        UserError: there is no such file, or it is neither of the two.
    """
    if not path.is_file():
        raise UserError(f"No checkpoint at {path}; give the file that `train` wrote (model.pt).")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            f"{path} must be a checkpoint, but it cannot be read as one; it is truncated or "
            "something else, so train again."
        ) from error
    content: dict[str, Any] = loaded if isinstance(loaded, dict) else {}
    if content.get("format") == FORMAT:
        config, state = content.get("config"), content.get("model")
    else:
        run = content.get("run")
        run = run if isinstance(run, dict) else {}
        content, config, state = {}, run.get("config"), run.get("best_state")
    dataset, metrics = content.get("dataset", {}), content.get("metrics", {})
    if not (
        isinstance(config, dict)
        and _is_state(state)
        and isinstance(dataset, dict)
        and (not dataset or all(isinstance(dataset.get(name), str) for name in _DATASET_FIELDS))
        and isinstance(metrics, dict)
    ):
        raise UserError(
            f"{path} holds no trained recommender; give the file that `train` wrote (model.pt)."
        )
    _check_finite(path, state)
    best_epoch = content.get("best_epoch", 0)
    return Checkpoint(parse_config(config, trusted=trusted), state, dataset, best_epoch, metrics)


def _is_state(value: object) -> TypeGuard[dict[str, torch.Tensor]]:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items())
    )


def _check_finite(path: Path, state: dict[str, torch.Tensor]) -> None:
    """Raise UserError if a weight is not finite: training diverged, or the file is damaged."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"{path} must hold finite weights, but `{name}` has values that are not; train "
                "again, with a lower learning rate if that had diverged."
            )
