"""DirectedRidge against ridge regression over cuts that are really built."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec.config.baselines import DirectedRidgeConfig
from diffrec.data.interactions import Interactions
from diffrec.errors import UserError
from diffrec.models.baselines import directed_ridge
from diffrec.models.baselines.directed_ridge import DirectedRidge

NUM_ITEMS = 15
configs = st.builds(
    DirectedRidgeConfig,
    regularization=st.floats(0.5, 10.0),
    past_half_life=st.floats(0.5, 20.0),
    future_half_life=st.floats(0.5, 20.0),
    past_items=st.integers(1, 12),
    future_items=st.integers(1, 12),
    user_exponent=st.sampled_from([0.0, 0.5, 1.0]),
    popularity_exponent=st.sampled_from([0.0, 0.3]),
)


def histories(lengths: list[int], seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    pairs = [(u, i) for u, n in enumerate(lengths) for i in rng.permutation(NUM_ITEMS)[:n]]
    return Interactions.from_pairs(np.array(pairs), len(lengths), NUM_ITEMS)


def built_from_cuts(train: Interactions, config: DirectedRidgeConfig) -> np.ndarray:
    weight = np.maximum(train.lengths, 1.0) ** -config.user_exponent
    weight = weight / np.repeat(weight, train.lengths).mean()
    gram = config.regularization * np.eye(NUM_ITEMS)
    cross = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for user in range(train.num_users):
        items = train.items_of(user)
        for cut in range(1, len(items)):
            y, x_0 = np.zeros((2, NUM_ITEMS))
            for age, item in enumerate(items[:cut][::-1][: config.past_items]):
                y[item] = 0.5 ** (age / config.past_half_life)
            for wait, item in enumerate(items[cut:][: config.future_items]):
                x_0[item] = 0.5 ** (wait / config.future_half_life)
            gram += weight[user] * np.outer(y, y)
            cross += weight[user] * np.outer(y, x_0)
    popularity = 1 + np.bincount(train.indices, minlength=NUM_ITEMS)
    return np.linalg.solve(gram, cross) / popularity**config.popularity_exponent


@settings(max_examples=30)
@given(configs, st.lists(st.integers(0, 14), min_size=1, max_size=6).filter(lambda n: max(n) >= 2))
def test_it_is_ridge_regression_over_all_cuts(config, lengths):
    train = histories(lengths)
    model = DirectedRidge(config, NUM_ITEMS)
    model.fit(train)
    np.testing.assert_allclose(
        model.weights.numpy(), built_from_cuts(train, config), rtol=1e-4, atol=1e-6
    )


def test_blocks_of_columns_change_nothing(monkeypatch):
    train, config = histories([14, 9, 2]), DirectedRidgeConfig(regularization=1.0)
    full, blocks = DirectedRidge(config, NUM_ITEMS), DirectedRidge(config, NUM_ITEMS)
    full.fit(train)
    monkeypatch.setattr(directed_ridge, "_CELLS_PER_BLOCK", 4 * NUM_ITEMS)
    blocks.fit(train)
    torch.testing.assert_close(full.weights, blocks.weights)


def test_scores_are_the_weighted_newest_items_through_the_map():
    config = DirectedRidgeConfig(regularization=1.0, past_items=3, past_half_life=2.0)
    train = histories([14, 9, 2])
    model = DirectedRidge(config, NUM_ITEMS)
    model.fit(train)
    y = np.zeros((2, NUM_ITEMS))
    for row, user in enumerate((2, 0)):
        for age, item in enumerate(train.items_of(user)[::-1][:3]):
            y[row, item] = 0.5 ** (age / 2)
    np.testing.assert_allclose(
        model.scores(train, np.array([2, 0])).numpy(), y @ model.weights.numpy(), rtol=1e-5
    )


def test_more_items_than_memory_holds_are_refused():
    with pytest.raises(UserError, match=r"DirectedRidge needs .* GiB"):
        DirectedRidge(DirectedRidgeConfig(), 1_000_000)


def test_histories_without_a_future_are_refused():
    with pytest.raises(UserError, match="two interactions"):
        DirectedRidge(DirectedRidgeConfig(), NUM_ITEMS).fit(histories([1, 1]))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"regularization": 0.0}, "regularization > 0"),
        ({"past_half_life": 0.0}, "past_half_life > 0"),
        ({"past_items": 0}, "past_items >= 1"),
        ({"popularity_exponent": -0.1}, "popularity_exponent >= 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        DirectedRidgeConfig(**values)
