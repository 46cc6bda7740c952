"""Content of a trial's checkpoint: written and read with torch."""

import logging
from pickle import UnpicklingError
from typing import Any

import torch

from diffrec.training.best_state import PageReleasingFile, read_state
from tune_runner.checkpoints.store import CheckpointStore

logger = logging.getLogger(__name__)


def save(store: CheckpointStore, state: dict[str, Any], *, token: str) -> None:
    """Write `state`.

    Raises:
        ClaimLostError: another worker has claimed the trial since, or the trial has ended.
    """
    store.save(lambda file: torch.save(state, PageReleasingFile(file)), token)  # type: ignore[arg-type]


def load(store: CheckpointStore) -> dict[str, Any] | None:
    """Return the saved state, on the CPU.

    None if there is none, or if it cannot be read: then the trial starts from its first epoch.
    """
    with store.local_file() as path:
        if path is None:
            return None
        try:
            return read_state(path)
        except (RuntimeError, OSError, EOFError, ValueError, UnpicklingError) as error:
            logger.warning("Checkpoint %s cannot be read (%s); the trial starts anew.", path, error)
            return None
