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


class Kept(dict):
    """Clusterings that other processes see, too."""

    load = dict.get
    save = dict.__setitem__


@pytest.fixture
def shared_store(monkeypatch):
    """What is shared; `others.away()` is another process, which may not fit anything itself."""
    store = Kept()

    def away():
        clustering._CACHE.clear()
        monkeypatch.setattr(clustering, "_fit", lambda *_: pytest.fail("found once is enough"))

    store.away = away
    clustering._CACHE.clear()
    clustering.set_shared_cache(store)
    yield store
    clustering.set_shared_cache(None)


@pytest.mark.parametrize("method", METHODS)
def test_what_one_process_has_found_no_other_looks_for(shared_store, method):
    points, _ = blobs()
    first = cluster_items(points, method, 4, seed=5)
    shared_store.away()
    np.testing.assert_array_equal(first, cluster_items(points, method, 4, seed=5))


def test_what_draws_nothing_is_found_once_for_all_seeds(shared_store):
    points, _ = blobs()
    first = cluster_items(points, "agglomerative", 4, seed=5)
    shared_store.away()
    np.testing.assert_array_equal(first, cluster_items(points, "agglomerative", 4, seed=6))


def test_other_items_counts_methods_and_seeds_have_clusterings_of_their_own(shared_store):
    points, _ = blobs()
    requests = [(points, "kmeans", 3, 1), (points, "kmeans", 3, 2), (points, "kmeans", 4, 1)]
    requests += [(points, "gaussian_mixture", 3, 1), (points[:, :4], "kmeans", 3, 1)]
    requests += [(points[:59], "kmeans", 3, 1)]
    for arguments in requests:
        cluster_items(*arguments)
    assert len(shared_store) == len(requests)


def test_kept_labels_that_cannot_be_of_these_items_are_found_again(shared_store):
    points, _ = blobs()
    first = cluster_items(points, "kmeans", 3, seed=1)
    (name,) = shared_store
    for wrong in (first[:-1], first + 3):
        clustering._CACHE.clear()
        shared_store[name] = wrong
        np.testing.assert_array_equal(first, cluster_items(points, "kmeans", 3, seed=1))
