"""Shares item clusterings between the workers of a study, so that each is computed once."""

import logging
from io import BytesIO

import numpy as np

from tune_runner.checkpoints.blobs import BlobStore
from tune_runner.checkpoints.locations import join_location

logger = logging.getLogger(__name__)

FOLDER = "clusterings"
"""Folder beside the trials' checkpoints."""


class ClusteringCache:
    """A file for each clustering, written whole; two workers that write the same one write alike.

    If the store does not answer, the clustering is computed again: a warning, and the same result.
    """

    def __init__(self, checkpoints: str) -> None:
        """Refer to the clusterings of a study.

        Args:
            checkpoints: location of its trials' checkpoints.
        """
        self._blobs = BlobStore(join_location(checkpoints, FOLDER))

    def load(self, name: str) -> np.ndarray | None:
        """Return the labels saved under `name`, (num_items,); None if there are none."""
        try:
            content = self._blobs.read(f"{name}.npy")
            return None if content is None else np.load(BytesIO(content), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            logger.warning("Clustering %s cannot be read (%s); it is made again.", name, error)
            return None

    def save(self, name: str, labels: np.ndarray) -> None:
        """Save labels, (num_items,), under `name`, in the smallest integer type that holds them."""
        content = BytesIO()
        np.save(content, labels.astype(np.min_scalar_type(int(labels.max(initial=0)))))
        try:
            self._blobs.create()
            self._blobs.write(f"{name}.npy", content.getvalue())
        except OSError as error:
            logger.warning("Clustering %s cannot be kept for others (%s).", name, error)
