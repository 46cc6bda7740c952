import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Interactions, dense_rows, user_batches


@given(st.integers(0, 50), st.integers(1, 60), st.integers(0, 3))
def test_batches_hold_every_user_once(num_users, batch_size, seed):
    batches = list(user_batches(num_users, batch_size, np.random.default_rng(seed)))
    assert sorted(np.concatenate([*batches, []]).tolist()) == list(range(num_users))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert all(0 < len(batch) <= batch_size for batch in batches)


def test_batches_repeat_with_the_seed_and_differ_from_epoch_to_epoch():
    def epochs(seed):
        rng = np.random.default_rng(seed)
        return [np.concatenate(list(user_batches(100, 7, rng))).tolist() for _ in range(2)]

    first, second = epochs(1)
    assert [first, second] == epochs(1)
    assert first != second
    assert first != epochs(2)[0]


def test_batches_without_a_generator_come_in_order():
    assert [batch.tolist() for batch in user_batches(5, 2)] == [[0, 1], [2, 3], [4]]


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="`batch_size >= 1` must hold, but got 0"):
        list(user_batches(5, 0))


@st.composite
def cases(draw):
    """Interactions of up to 8 users, some of them chosen, a weight for each interaction."""
    num_users, num_items = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    cells = st.integers(0, num_users * num_items - 1)
    chosen = np.array(draw(st.lists(cells, unique=True)), dtype=int)
    pairs = np.stack([chosen // num_items, chosen % num_items], axis=1)
    interactions = Interactions.from_pairs(pairs, num_users, num_items)
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
