import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Interactions, dense_rows
from strategies import small_interactions


@st.composite
def cases(draw):
    """Interactions of up to 8 users, some of them chosen, a weight for each interaction."""
    interactions = draw(small_interactions())
    num_users = interactions.num_users
    users = np.array(draw(st.lists(st.integers(0, num_users - 1), max_size=9)), dtype=int)
    weights = np.random.default_rng(0).random(interactions.nnz, dtype=np.float32)
    return interactions, users, weights


@given(cases())
def test_dense_rows_equal_scipy(case):
    interactions, users, _ = case
    expected = interactions.to_csr().toarray()[users]
    rows = dense_rows(interactions, users)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, expected)


@given(cases())
def test_weights_follow_their_interactions(case):
    interactions, users, weights = case
    expected = np.zeros((interactions.num_users, interactions.num_items), np.float32)
    expected[interactions.users(), interactions.indices] = weights
    np.testing.assert_array_equal(dense_rows(interactions, users, weights), expected[users])


@given(cases())
def test_a_used_buffer_gives_the_same_rows_without_allocating(case):
    interactions, users, weights = case
    buffer = np.full((len(users) + 3, interactions.num_items), np.nan, np.float32)
    rows = dense_rows(interactions, users, weights, out=buffer)
    np.testing.assert_array_equal(rows, dense_rows(interactions, users, weights))
    assert rows.base is buffer
    assert np.isnan(buffer[len(users) :]).all()


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 3), np.float32),
        np.zeros((2, 4), np.float32),
        np.zeros((2, 3), np.float64),
        np.zeros((3, 2), np.float32).T,
    ],
)
def test_an_unfit_buffer_is_refused(out):
    interactions = Interactions.from_pairs([[0, 0], [1, 2]], 2, 3)
    with pytest.raises(ValueError, match="`out` must be C-contiguous float32"):
        dense_rows(interactions, np.array([0, 1]), out=out)


def test_a_wrong_number_of_weights_is_refused():
    interactions = Interactions.from_pairs([[0, 0], [1, 2]], 2, 3)
    with pytest.raises(ValueError, match="each of the 2 interactions, but got shape"):
        dense_rows(interactions, np.array([0]), np.ones(1, np.float32))
