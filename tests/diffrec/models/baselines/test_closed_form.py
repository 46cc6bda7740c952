import numpy as np
import psutil
import pytest

from closed_form import ease_scores, popularity_scores
from diffrec.config.baselines import EASEConfig, ItemKNNConfig, PopularityConfig
from diffrec.data import Interactions, load_dataset
from diffrec.errors import UserError
from diffrec.models.baselines.closed_form import EASE
from diffrec.models.registry import recommender_class


@pytest.fixture(scope="module")
def train() -> Interactions:
    return load_dataset("embedded").train


def fitted_scores(config, train: Interactions, users=None) -> np.ndarray:
    model = recommender_class(config)(config, train.num_items)
    model.fit(train)
    users = np.arange(train.num_users) if users is None else np.array(users)
    return model.scores(train, users).numpy()


def test_popularity_counts_train_interactions(train):
    np.testing.assert_array_equal(
        fitted_scores(PopularityConfig(), train), popularity_scores(train)
    )


@pytest.mark.parametrize("half_life", [None, 3.0])
def test_ease_agrees_with_the_slow_reference(train, half_life):
    ours = fitted_scores(EASEConfig(regularization=50.0, half_life=half_life), train)
    reference = ease_scores(train, 50.0, half_life or np.inf)
    if half_life:  # the reference keeps the binary norm: a factor per user, the same ranking
        ours /= np.linalg.norm(ours, axis=1, keepdims=True)
        reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)


def test_recency_counts_the_latest_item_one_and_an_item_of_age_h_one_half():
    train = Interactions.from_pairs([[0, 0], [0, 1], [1, 0], [1, 2], [2, 1], [2, 3]], 3, 4)
    model = EASE(EASEConfig(regularization=1.0, half_life=1.0), 4)
    model.fit(train)
    expected = model.weights[1] + 0.5 * model.weights[0]
    np.testing.assert_allclose(model.scores(train, np.array([0]))[0], expected, rtol=1e-6)


def slow_knn(train: Interactions, k: int, shrinkage: float) -> np.ndarray:
    """Score by the definition, with loops."""
    owners = [set(train.users()[train.indices == i].tolist()) for i in range(train.num_items)]
    similarity = np.zeros((train.num_items, train.num_items))
    for i, a in enumerate(owners):
        for j, b in enumerate(owners):
            if i != j and a and b:
                similarity[i, j] = len(a & b) / (np.sqrt(len(a) * len(b)) + shrinkage)
    scores = np.zeros((train.num_users, train.num_items))
    for i in range(train.num_items):
        nearest = np.argsort(-similarity[i], kind="stable")[:k]
        for user in range(train.num_users):
            taken = set(train.items_of(user).tolist())
            scores[user, i] = sum(similarity[i, j] for j in nearest if j in taken)
    return scores


@pytest.mark.parametrize(("k", "shrinkage"), [(3, 0.0), (5, 2.0), (100, 0.0)])
def test_item_knn_agrees_with_its_definition(k, shrinkage):
    rng = np.random.default_rng(3)
    pairs = np.argwhere(rng.random((20, 12)) < 0.3)
    train = Interactions.from_pairs(pairs, 20, 12)
    ours = fitted_scores(ItemKNNConfig(num_neighbours=k, shrinkage=shrinkage), train)
    np.testing.assert_allclose(ours, slow_knn(train, k, shrinkage), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "config", [PopularityConfig(), ItemKNNConfig(half_life=4.0), EASEConfig(half_life=4.0)]
)
def test_a_batch_scores_like_each_user_alone(config, train):
    both = fitted_scores(config, train, [5, 2])
    alone = np.concatenate([fitted_scores(config, train, [u]) for u in (5, 2)])
    np.testing.assert_allclose(both, alone, rtol=1e-5, atol=1e-6)


def test_ease_beyond_memory_is_refused_with_the_size_needed(monkeypatch):
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2**30})()
    )
    with pytest.raises(UserError, match=r"167\.9 GiB .* 94949 x 94949 items, but 1\.0 GiB"):
        EASE(EASEConfig(), 94_949)
