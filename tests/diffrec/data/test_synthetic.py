"""The embedded data holds what its docstring promises, shown by models in closed form."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from closed_form import ease_scores, popularity_scores, recall_at_k
from diffrec.data import (
    Dataset,
    Planted,
    SyntheticConfig,
    generate,
    load_dataset,
    plant,
    svd_item_embeddings,
    with_embeddings,
)
from diffrec.errors import UserError

# Computed by `fingerprint` on the first machine (numpy 2.4, x86-64). It may change only with the
# generator itself, and then every recorded result on the embedded data is of another dataset.
EMBEDDED_SHA256 = "24d6031ec1c3525f6519ca22bb5ab50ead34f2300fbc9189097af508c961237c"
REGULARIZATION = 100.0


@pytest.fixture(scope="module")
def planted() -> Planted:
    return plant(SyntheticConfig())


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset("embedded")


def recall(planted: Planted, half_life: float = np.inf) -> float:
    """Test recall@20 of EASE, queried with histories weighted by recency."""
    scores = ease_scores(planted.train, REGULARIZATION, half_life)
    return recall_at_k(scores, planted.test, (planted.train, planted.valid), k=20)


def test_the_embedded_dataset_is_the_same_everywhere(dataset):
    assert dataset.sha256 == EMBEDDED_SHA256


def test_histories_are_cut_seven_one_two_without_repeats(dataset):
    total = dataset.train.lengths + dataset.valid.lengths + dataset.test.lengths
    assert total.min() == 30
    assert total.max() == 60
    np.testing.assert_allclose(dataset.valid.lengths / total, 0.1, atol=0.5 / 30 + 1e-9)
    np.testing.assert_allclose(dataset.test.lengths / total, 0.2, atol=0.5 / 30 + 1e-9)
    lists = (dataset.train, dataset.valid, dataset.test)
    pairs = np.concatenate([interactions.to_pairs() for interactions in lists])
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_popularity_is_skewed(planted):
    counts = np.sort(np.bincount(planted.train.indices, minlength=400))[::-1]
    assert counts[:40].sum() > 0.19 * counts.sum()  # a tenth of the items
    assert counts[0] > 5 * counts[-1]


def test_items_have_structure_beyond_popularity(planted):
    popularity = recall_at_k(
        popularity_scores(planted.train), planted.test, (planted.train, planted.valid), k=20
    )
    assert popularity > 1.5 * 20 / 400  # skew alone beats chance
    assert recall(planted) > 2 * popularity


def test_recent_items_say_more_because_tastes_drift(planted):
    assert recall(planted, half_life=5) > 1.15 * recall(planted)


def test_without_drift_recency_does_not_help():
    still = plant(SyntheticConfig(num_phases=1))
    assert recall(still, half_life=5) < recall(still)


def test_noise_costs_recall(planted):
    assert recall(plant(SyntheticConfig(noise=0.0))) > 1.05 * recall(planted)
    assert recall(planted) > 1.05 * recall(plant(SyntheticConfig(noise=0.5)))


def test_noise_is_in_train_and_valid_but_not_in_test():
    # With loyal users and no exploration every true item is of the user's home community. (One
    # scene of 100 items: smaller ones run dry, and then even the test list takes what is free.)
    config = SyntheticConfig(scenes_per_community=1, loyalty=1.0, exploration=0.0, noise=0.25)
    planted = plant(config)

    def strangers(interactions) -> float:
        communities = planted.item_communities[interactions.indices]
        counts = np.zeros((interactions.num_users, 4))
        np.add.at(counts, (interactions.users(), communities), 1)
        return 1 - counts.max(axis=1).sum() / interactions.nnz

    assert strangers(planted.train) == pytest.approx(0.25 * 3 / 4, abs=0.03)
    assert strangers(planted.valid) > 0.1
    assert strangers(planted.test) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clustering_the_embeddings_finds_the_planted_communities(seed):
    planted = plant(SyntheticConfig(seed=seed))
    labels = KMeans(4, n_init=10, random_state=0).fit_predict(svd_item_embeddings(planted.train))
    assert adjusted_rand_score(planted.item_communities, labels) > 0.85


def test_communities_are_of_equal_size_and_hidden_from_the_ids(planted):
    assert np.bincount(planted.item_communities).tolist() == [100] * 4
    assert abs(adjusted_rand_score(np.repeat(np.arange(4), 100), planted.item_communities)) < 0.02


def test_embeddings_are_made_and_that_is_said(dataset):
    assert dataset.item_embeddings is None
    dataset = with_embeddings(dataset)
    assert dataset.embeddings_source == "svd"
    assert dataset.item_embeddings.shape == (400, 64)
    assert any("truncated SVD, 64 dimensions" in note for note in dataset.notes)


def test_any_size_and_seed_can_be_generated():
    config = SyntheticConfig(num_users=50, num_items=130, min_length=5, max_length=65, seed=3)
    one, two = generate(config), generate(config)
    assert (one.name, one.num_users, one.num_items) == ("synthetic", 50, 130)
    assert one.sha256 == two.sha256
    other = SyntheticConfig(num_users=50, num_items=130, min_length=5, max_length=65, seed=4)
    assert generate(other).sha256 != one.sha256
    assert min(one.valid.lengths.min(), one.test.lengths.min()) >= 1


def test_a_hard_corner_still_ends():
    # One tiny scene wanted by everyone: most proposals are refused, and any free item must do.
    config = SyntheticConfig(
        num_users=20, num_items=60, num_communities=1, scenes_per_community=30, num_phases=1,
        min_length=30, max_length=30, exploration=0.0, noise=0.0,
    )  # fmt: skip
    planted = plant(config)
    assert planted.train.nnz + planted.valid.nnz + planted.test.nnz == 20 * 30


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_users": 0}, "`num_users >= 1` must hold for synthetic data, but got 0"),
        ({"noise": 1.5}, "`0 <= noise <= 1` must hold"),
        ({"min_length": 4}, "`5 <= min_length <= max_length` must hold"),
        ({"min_length": 70}, "but got 70 and 60"),
        ({"num_items": 100}, "`num_items >= 120` must hold"),
        ({"scenes_per_community": 200}, "`num_items >= 800` must hold"),
        ({"skew": 0.0}, "`skew > 0`"),
        ({"seed": -1}, "`seed >= 0`"),
    ],
)
def test_impossible_configurations_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        SyntheticConfig(**values)
