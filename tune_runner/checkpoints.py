"""A trial's own checkpoint: one file, replaced whole, the one before it kept until then.

A worker that is killed in the middle of a write leaves the older file, and a file that cannot be
read is passed over for the older one. A worker that was given up but lives (its driver was killed a
second ago, its node cannot be reached) must not write over its successor's, so each writes under a
claim, and the last claim counts.
"""

import logging
import os
import uuid
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from diffrec.errors import UserError

logger = logging.getLogger(__name__)

_CURRENT, _PREVIOUS, _CLAIM = "state.pt", "state.previous.pt", "claim"
_NEW = "state.{claim}.new"


class TakenOverError(RuntimeError):
    """Another worker goes on with the trial."""


def claim(folder: Path) -> str:
    """Become the one worker that may save in `folder`; return what `save` is to be given.

    Raises:
        UserError: the folder of the study's checkpoints is not there, as on a node of a cluster
            that does not share the driver's files. Making it would keep them where nobody looks.
    """
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise UserError(
            f"This node does not see the folder of the checkpoints, {folder.parent}; give a "
            "--runs-dir that all nodes share."
        ) from None
    for torn in folder.glob(_NEW.format(claim="*")):
        torn.unlink(missing_ok=True)
    name = uuid.uuid4().hex
    new = folder / f"{_CLAIM}.{name}"
    new.write_text(name)
    new.replace(folder / _CLAIM)
    return name


def save(folder: Path, state: dict[str, Any], *, claimed: str) -> None:
    """Write `state` so that a crash at any moment leaves a complete checkpoint.

    Raises:
        TakenOverError: another worker has claimed the folder since, or the trial has ended.
    """
    new, current = folder / _NEW.format(claim=claimed), folder / _CURRENT
    check(folder, claimed)
    with new.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    check(folder, claimed)
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


def check(folder: Path, claimed: str) -> None:
    """Make sure that the claim still counts.

    Raises:
        TakenOverError: another worker has claimed the folder since, or the trial has ended.
    """
    try:
        held = (folder / _CLAIM).read_text()
    except FileNotFoundError:
        held = ""
    if held != claimed:
        raise TakenOverError(f"Another worker goes on with the trial of {folder}.")
