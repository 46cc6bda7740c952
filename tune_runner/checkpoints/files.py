"""A trial's own checkpoint: written whole, read past what cannot be read (see places)."""

import logging
from pickle import UnpicklingError
from typing import Any

import torch

from diffrec.training.best_state import PageReleasingFile, read_state
from tune_runner.checkpoints.store import CheckpointStore

logger = logging.getLogger(__name__)


def save(place: CheckpointStore, state: dict[str, Any], *, claimed: str) -> None:
    """Write `state`.

    Raises:
        ClaimLostError: another worker has claimed the place since, or the trial has ended.
    """
    place.save(lambda file: torch.save(state, PageReleasingFile(file)), claimed)  # type: ignore[arg-type]


def load(place: CheckpointStore) -> dict[str, Any] | None:
    """Return the newest state that can be read, on the CPU; None if there is none."""
    for path in place.states():
        try:
            return read_state(path)
        except (RuntimeError, OSError, EOFError, ValueError, UnpicklingError) as error:
            logger.warning("Checkpoint %s cannot be read (%s); trying an older one.", path, error)
    return None
