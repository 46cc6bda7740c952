import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.config import TemporalConfig
from diffrec.data.interactions import Interactions
from diffrec.models.temporal import interaction_weights

EVERYWHERE = {
    "weigh_training_input": True,
    "weigh_training_target": True,
    "weigh_inference": True,
}


def histories(lengths) -> Interactions:
    pairs = [(user, item) for user, length in enumerate(lengths) for item in range(length)]
    return Interactions.from_pairs(np.array(pairs, dtype=np.int64).reshape(-1, 2), len(lengths), 50)


def linear(low, high, **changes) -> TemporalConfig:
    return TemporalConfig(
        weighting="linear", weight_min=low, weight_max=high, **EVERYWHERE, **changes
    )


def test_no_weighting_is_none_at_all():
    assert interaction_weights(TemporalConfig(), histories([3])) is None


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.floats(0.1, 0.9))
def test_linear_is_the_published_line_per_user(lengths, low):
    weights = interaction_weights(linear(low, 1.0), histories(lengths))
    expected = np.concatenate([np.linspace(low, 1.0, length) for length in lengths])
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_exponential_halves_every_half_life():
    config = TemporalConfig(weighting="exponential", half_life=2.0, weigh_inference=True)
    weights = interaction_weights(config, histories([5]))
    np.testing.assert_allclose(weights, [0.25, 0.5**1.5, 0.5, 0.5**0.5, 1.0], rtol=1e-6)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.floats(0.5, 20))
def test_norm_is_kept_per_user(lengths, half_life):
    config = TemporalConfig(
        weighting="exponential", half_life=half_life, weigh_inference=True, keep_norm=True
    )
    history = histories(lengths)
    weights = interaction_weights(config, history)
    squares = np.bincount(
        history.users(), weights=weights.astype(float) ** 2, minlength=len(lengths)
    )
    np.testing.assert_allclose(squares, lengths, rtol=1e-5)


def test_equal_bounds_are_no_weighting_but_for_scale():
    assert set(interaction_weights(linear(1.0, 1.0), histories([4, 1]))) == {1.0}


@pytest.mark.parametrize("rows", [[0], [2, 0]])
def test_weights_of_selected_users_are_the_selected_weights(rows):
    # scoring weighs a batch's own rows, training all users at once: they must agree
    history, config = histories([3, 7, 5]), linear(0.2, 0.9)
    weights = interaction_weights(config, history)
    part = interaction_weights(config, history.select_users(np.array(rows)))
    np.testing.assert_array_equal(part, weights[history.slots(np.array(rows))])
