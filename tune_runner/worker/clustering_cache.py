"""Clusterings of a study, beside its checkpoints: what one worker has found no other looks for."""

import logging
import uuid
from io import BytesIO
from pathlib import Path

import numpy as np

from tune_runner.checkpoints.locations import is_url, join_location
from tune_runner.checkpoints.store import open_filesystem

logger = logging.getLogger(__name__)

FOLDER = "clusterings"
"""Of the study's checkpoints."""


class ClusteringCache:
    """A file for each clustering, written whole; two that write the same one write alike.

    A store that does not answer costs the fit once more, and no result; it is logged.
    """

    def __init__(self, checkpoints: str) -> None:
        """Open what a study keeps.

        Args:
            checkpoints: where its trials keep their checkpoints (`tune_runner.checkpoints.store`).
        """
        self._base = join_location(checkpoints, FOLDER)

    def load(self, name: str) -> np.ndarray | None:
        """Return the labels that were kept under `name`, (num_items,); None without any."""
        try:
            content = self._read(name)
            return None if content is None else np.load(BytesIO(content), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            logger.warning("Clustering %s cannot be read (%s); it is made again.", name, error)
            return None

    def save(self, name: str, labels: np.ndarray) -> None:
        """Keep labels under `name`, as the smallest integers that hold them."""
        content = BytesIO()
        np.save(content, labels.astype(np.min_scalar_type(int(labels.max(initial=0)))))
        try:
            self._write(name, content.getvalue())
        except OSError as error:
            logger.warning("Clustering %s cannot be kept for others (%s).", name, error)

    def _read(self, name: str) -> bytes | None:
        try:
            if not is_url(self._base):
                return (Path(self._base) / f"{name}.npy").read_bytes()
            files, path = open_filesystem(join_location(self._base, f"{name}.npy"))
            with files.open_input_stream(path) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        if is_url(self._base):  # shown whole, or not at all
            files, path = open_filesystem(join_location(self._base, f"{name}.npy"))
            with files.open_output_stream(path) as file:
                file.write(content)
            return
        folder = Path(self._base)
        folder.mkdir(exist_ok=True)
        new = folder / f"{name}.{uuid.uuid4().hex}.new"
        try:
            new.write_bytes(content)
            new.replace(folder / f"{name}.npy")
        finally:
            new.unlink(missing_ok=True)
