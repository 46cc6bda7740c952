import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from diffrec.errors import UserError
from diffrec.models import clustering
from diffrec.models.clustering import cluster_items

METHODS = ["kmeans", "gaussian_mixture", "agglomerative", "random"]


def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [30, 20, 10])
    centres = 8 * np.eye(3, 5)
    return (centres[truth] + rng.normal(size=(60, 5))).astype(np.float32), truth


@pytest.mark.parametrize("method", METHODS[:3])
def test_planted_clusters_are_found(method):
    points, truth = blobs()
    assert adjusted_rand_score(truth, cluster_items(points, method, 3, seed=1)) == 1.0


def test_random_has_the_sizes_of_kmeans_and_nothing_else():
    points, truth = blobs()
    labels = cluster_items(points, "random", 3, seed=1)
    assert sorted(np.bincount(labels)) == [10, 20, 30]
    assert abs(adjusted_rand_score(truth, labels)) < 0.2
    assert not np.array_equal(labels, cluster_items(points, "random", 3, seed=2))


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_clusters(method):
    points, _ = blobs()
    first = cluster_items(points, method, 4, seed=5)
    clustering._CACHE.clear()
    np.testing.assert_array_equal(first, cluster_items(points, method, 4, seed=5))


@pytest.mark.parametrize("method", METHODS)
def test_fewer_distinct_items_than_clusters_is_legal(method):
    points = np.zeros((6, 3), dtype=np.float32)
    labels = cluster_items(points, method, 5, seed=1)
    assert labels.shape == (6,)
    assert labels.min() >= 0
    assert labels.max() < 5


def test_one_cluster_needs_no_method():
    points, _ = blobs()
    assert cluster_items(points, None, 1, seed=1).tolist() == [0] * 60


def test_results_are_shared_and_safe_to_change():
    points, _ = blobs()
    labels = cluster_items(points, "kmeans", 3, seed=9)
    labels[:] = -1
    assert cluster_items(points, "kmeans", 3, seed=9).min() == 0


def test_more_clusters_than_items_is_refused():
    with pytest.raises(UserError, match="use fewer clusters"):
        cluster_items(np.zeros((3, 2), dtype=np.float32), "kmeans", 4, seed=1)


def test_ward_beyond_memory_is_refused_before_it_starts(monkeypatch):
    class LittleMemory:
        available = 10_000

    monkeypatch.setattr(clustering.psutil, "virtual_memory", LittleMemory)
    with pytest.raises(UserError, match="GiB are free"):
        cluster_items(np.zeros((100, 2), dtype=np.float32), "agglomerative", 2, seed=1)
