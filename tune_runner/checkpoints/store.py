"""Checkpoints of trials, in a folder that all nodes see or in an object store.

A worker can outlive its driver or lose contact. To keep it from overwriting its successor's
checkpoint, every worker writes a claim first, and only the newest claim may save (a fencing token).
Ended trials have no claim.
"""

import logging
import uuid
from contextlib import AbstractContextManager
from pathlib import Path

from diffrec.errors import UserError
from tune_runner.checkpoints.blobs import BlobStore, Dump
from tune_runner.checkpoints.locations import STATE, TRIAL_PREFIX, trial_folder, trial_location
from tune_runner.checkpoints.patience import PATIENCE_SECONDS

logger = logging.getLogger(__name__)

_CLAIM = "claim"


class ClaimLostError(RuntimeError):
    """Raised if another worker has taken over the trial, or the trial has ended."""


class CheckpointStore:
    """The checkpoint of one trial: one file, replaced whole, and the claim on it."""

    def __init__(self, location: str) -> None:
        """Refer to a trial's checkpoint; nothing is opened yet.

        Args:
            location: folder or URL (`trial_location`).
        """
        self._location = location
        self._blobs = BlobStore(location, patience_seconds=PATIENCE_SECONDS)

    def claim(self) -> str:
        """Become the only worker that may save here; return the token that `save` needs.

        Raises:
            UserError: the folder of the study's checkpoints is missing, as on a node of a cluster
                that does not share the driver's files. A folder made here would be seen by nobody.
        """
        try:
            self._blobs.create()
        except FileNotFoundError:
            raise UserError(
                "This node does not see the folder of the checkpoints, "
                f"{Path(self._location).parent}; give a --runs-dir that all nodes share, or "
                "--checkpoints with an object store."
            ) from None
        self._blobs.delete_partial()
        token = uuid.uuid4().hex
        self._blobs.write(_CLAIM, token.encode())
        return token

    def check(self, token: str) -> None:
        """Verify that the claim is the newest one.

        Raises:
            ClaimLostError: another worker has claimed the trial since, or the trial has ended.
        """
        if self._blobs.read(_CLAIM) != token.encode():
            raise ClaimLostError(f"Another worker has the trial of {self._location}.")

    def save(self, dump: Dump, token: str) -> None:
        """Save what `dump` writes; a crash at any moment leaves a complete checkpoint.

        Raises:
            ClaimLostError: another worker has claimed the trial since, or the trial has ended.
        """
        self.check(token)
        self._blobs.write(STATE, dump, check=lambda: self.check(token))

    def local_file(self) -> AbstractContextManager[Path | None]:
        """Yield the path of the checkpoint on this machine; None if there is none."""
        return self._blobs.local_file(STATE)


def remove_trials(base: str, numbers: set[int]) -> None:
    """Delete the checkpoints of these trials, if there are any."""
    try:
        BlobStore(base).delete_folders({trial_folder(number) for number in numbers})
    except OSError as error:  # it takes up room and changes no result; --resume tries again
        logger.warning("Old checkpoints in %s could not be removed (%s).", base, error)


def list_trials(base: str) -> set[int]:
    """Return the numbers of the trials that have a folder.

    Raises:
        OSError: the store does not answer.
    """
    names = BlobStore(base).names()
    return {int(n.removeprefix(TRIAL_PREFIX)) for n in names if n.startswith(TRIAL_PREFIX)}


def download(base: str, number: int, folder: Path) -> Path | None:
    """Copy a trial's checkpoint from an object store into `folder`; None if there is none.

    Raises:
        OSError: the store does not answer, or the folder cannot be written.
    """
    target = Path(trial_location(str(folder), number)) / STATE
    return BlobStore(trial_location(base, number)).download(STATE, target)


def write_error(base: str) -> str:
    """Return why this machine cannot write to an object store; "" if it can."""
    store, name = BlobStore(base), f"seen-{uuid.uuid4().hex}"
    try:
        store.write(name, b"seen")
        store.delete(name)
    except UserError as error:
        return str(error)
    except OSError as error:
        return (str(error).splitlines() or ["no reason given"])[0]
    return ""
