import numpy as np
import pytest

from diffrec.data import Interactions
from diffrec.preparation.survey import noise_drift, popularity_skew, survey_lists, taste_fit


def test_counts_of_small_lists_are_those_one_counts_by_hand():
    lists, common = survey_lists(
        {
            "train": np.array([[0, 0], [0, 1], [0, 1], [1, 0]]),
            "valid": np.array([[0, 1], [2, 3]]),
            "test": np.array([[1, 0], [1, 3]]),
        }
    )
    train, valid, test = lists["train"], lists["valid"], lists["test"]
    assert (train.rows, train.users, train.items, train.repeated) == (4, 2, 2, 1)
    assert (valid.cold_users, valid.cold_items, valid.cold_rows) == (1, 1, 1)
    assert (test.cold_users, test.cold_items, test.share) == (0, 1, 0.25)
    assert common == {"train and valid": 1, "train and test": 1, "valid and test": 0}


@pytest.mark.parametrize(("items", "gini"), [([0, 1, 2, 3], 0.0), ([0, 0, 0, 0], 0.75)])
def test_gini_is_0_for_equal_items_and_1_minus_1_over_n_for_a_single_star(items, gini):
    rows = np.array([[user, item] for user, item in enumerate(items)])
    assert popularity_skew(rows, 4).gini == pytest.approx(gini)


def test_a_noisy_list_fits_the_users_taste_less():
    rng = np.random.default_rng(2)
    group = np.arange(60) % 2  # even and odd items; each user likes one kind
    affinity = (group[:, None] == group[None, :]) * 1.0 + 0.01 * rng.random((60, 60))
    rows: dict[str, list[list[int]]] = {"train": [], "test": []}
    for user in range(50):
        liked = rng.permutation(np.flatnonzero(group == user % 2))
        rows["train"] += [[user, item] for item in liked[:8]]
        rows["train"] += [[user, item] for item in np.flatnonzero(group != user % 2)[:4]]
        rows["test"] += [[user, item] for item in liked[8:14]]
    parts = {name: Interactions.from_pairs(pairs, 50, 60) for name, pairs in rows.items()}
    fit = taste_fit(affinity.astype(np.float32), parts)
    assert fit["test"] > fit["train"] + 0.1
    assert noise_drift(fit).startswith("train fit")
    assert "alike" in noise_drift({"train": 0.8, "test": 0.81})
