"""A trial's own checkpoint: one file, replaced whole, the one before it kept until then.

A worker that is killed in the middle of a write leaves the older file, and a file that cannot be
read is passed over for the older one.
"""

import logging
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

logger = logging.getLogger(__name__)

_CURRENT, _PREVIOUS, _NEW = "state.pt", "state.previous.pt", "state.new.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` so that a crash at any moment leaves a complete checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    new, current = folder / _NEW, folder / _CURRENT
    with new.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    if current.exists():
        current.replace(folder / _PREVIOUS)
    new.replace(current)
    (folder / _PREVIOUS).unlink(missing_ok=True)


def load(folder: Path) -> dict[str, Any] | None:
    """Return the newest state that can be read, on the CPU; None where there is none."""
    for name in (_CURRENT, _PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, ValueError, UnpicklingError) as error:
            logger.warning("Checkpoint %s cannot be read (%s); trying an older one.", path, error)
    return None
