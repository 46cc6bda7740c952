"""Clusters of items: seeded, cached, and valid with empty and one-item clusters.

scikit-learn is imported on use: the import takes two CPU seconds, and most models have no clusters.
"""

import hashlib
import logging
import warnings
from typing import Protocol

import numpy as np
import psutil

from diffrec.config import Clustering
from diffrec.errors import UserError
from diffrec.runtime.seeding import derive_seed, generator

logger = logging.getLogger(__name__)

_CACHE: dict[str, np.ndarray] = {}


class ClusteringStore(Protocol):
    """Store of clusterings that several processes share."""

    def load(self, name: str) -> np.ndarray | None:
        """Return the labels stored under `name`, (num_items,); None if there are none."""
        ...

    def save(self, name: str, labels: np.ndarray) -> None:
        """Store labels, (num_items,), under `name` (letters, digits and hyphens)."""
        ...


_shared: ClusteringStore | None = None


def set_shared_cache(store: ClusteringStore | None) -> None:
    """Set the store that this process reads clusterings from and adds new ones to; None: none."""
    global _shared
    _shared = store


def cluster_items(
    embeddings: np.ndarray, method: Clustering | None, num_clusters: int, seed: int
) -> np.ndarray:
    """Return the cluster of each item, shape (num_items,), int64, values in [0, num_clusters).

    A cluster may be empty (fewer distinct embeddings than clusters). Results are cached in the
    process and in the store of `set_shared_cache`, so trials that differ in other settings share
    them.

    Args:
        embeddings: item embeddings, shape (num_items, dim).
        method: the algorithm; None for a single cluster. `random` assigns items at random to
            clusters of k-means' sizes: the control for any effect of clustering.
        num_clusters: number of clusters.
        seed: root seed; the draws use the label "clustering".

    Raises:
        UserError: there are fewer items than clusters, or the method does not fit into memory.
    """
    num_items = len(embeddings)
    if num_clusters > num_items:
        raise UserError(
            f"`autoencoder.num_clusters <= number of items` must hold, but got {num_clusters} "
            f"clusters for {num_items} items; use fewer clusters."
        )
    if method is None or num_clusters == 1:
        return np.zeros(num_items, dtype=np.int64)
    data = np.ascontiguousarray(embeddings, dtype=np.float32)
    key = _cache_key(data, method, num_clusters, seed)
    if key not in _CACHE:
        labels = None if _shared is None else _shared.load(key)
        if labels is None or labels.shape != (num_items,) or labels.max() >= num_clusters:
            labels = _compute(data, method, num_clusters, seed)
            if _shared is not None:
                _shared.save(key, labels)
        _CACHE[key] = labels.astype(np.int64)
    return _CACHE[key].copy()


def _cache_key(data: np.ndarray, method: Clustering, num_clusters: int, seed: int) -> str:
    """Return a name made of all that determines a clustering; Ward's method has no seed."""
    seed_suffix = "" if method == "agglomerative" else f"-seed{seed}"
    shape = "x".join(map(str, data.shape))
    digest = hashlib.sha256(shape.encode() + data.tobytes()).hexdigest()[:32]
    return f"{method.replace('_', '-')}-{num_clusters}{seed_suffix}-{digest}"


def _compute(data: np.ndarray, method: Clustering, num_clusters: int, seed: int) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # fewer distinct points than clusters: legal here, the spare clusters stay empty
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = _fit(data, method, num_clusters, seed)
    sizes = np.bincount(labels, minlength=num_clusters)
    logger.debug("%s with %d clusters: sizes %s", method, num_clusters, sizes.tolist())
    return labels


def _fit(data: np.ndarray, method: Clustering, num_clusters: int, seed: int) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering, KMeans
    from sklearn.mixture import GaussianMixture

    random_state = derive_seed(seed, "clustering", method) % 2**32
    if method == "kmeans":
        return KMeans(
            num_clusters,
            n_init=10,  # pyright: ignore[reportArgumentType] - scikit-learn's stub knows only "auto"
            random_state=random_state,
        ).fit_predict(data)
    if method == "gaussian_mixture":
        mixture = GaussianMixture(num_clusters, random_state=random_state)
        return mixture.fit_predict(data.astype(np.float64))
    if method == "agglomerative":
        _check_memory(len(data))
        return AgglomerativeClustering(num_clusters, linkage="ward").fit_predict(data)
    labels = cluster_items(data, "kmeans", num_clusters, seed)  # cached, like any trial's
    return generator(seed, "clustering", "random").permutation(labels)


def _check_memory(num_items: int) -> None:
    """Raise UserError if Ward's condensed distance matrix does not fit into free memory."""
    num_bytes, free = num_items * (num_items - 1) // 2 * 8, psutil.virtual_memory().available
    if num_bytes > free:
        raise UserError(
            f"Agglomerative clustering of {num_items} items needs {num_bytes / 2**30:.1f} GiB for "
            f"its distances, but {free / 2**30:.1f} GiB are free; use kmeans or gaussian_mixture."
        )
