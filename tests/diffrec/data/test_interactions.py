import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Dataset, Interactions, TuningSplit


@st.composite
def histories(draw):
    """A list of item lists, one for each user, each item at most once; rows may be empty."""
    num_items = draw(st.integers(1, 12))
    row = st.lists(st.integers(0, num_items - 1), unique=True, max_size=num_items)
    return draw(st.lists(row, min_size=1, max_size=8)), num_items


def from_rows(rows: list[list[int]], num_items: int) -> Interactions:
    pairs = [[user, item] for user, row in enumerate(rows) for item in row]
    return Interactions.from_pairs(np.array(pairs, int).reshape(-1, 2), len(rows), num_items)


@given(histories())
def test_pairs_survive_the_round_trip_in_order(case):
    rows, num_items = case
    interactions = from_rows(rows, num_items)
    assert [interactions.items_of(user).tolist() for user in range(len(rows))] == rows
    assert interactions.to_pairs().tolist() == [[u, i] for u, row in enumerate(rows) for i in row]
    assert interactions.lengths.tolist() == [len(row) for row in rows]
    assert interactions.nnz == sum(map(len, rows))


@given(histories(), st.randoms(use_true_random=False))
def test_users_may_come_interleaved_as_long_as_each_is_in_order(case, random):
    rows, num_items = case
    queues = {user: list(row) for user, row in enumerate(rows) if row}
    pairs = []
    while queues:
        user = random.choice(sorted(queues))
        pairs.append([user, queues[user].pop(0)])
        if not queues[user]:
            del queues[user]
    shuffled = Interactions.from_pairs(np.array(pairs, int).reshape(-1, 2), len(rows), num_items)
    np.testing.assert_array_equal(shuffled.indices, from_rows(rows, num_items).indices)


@given(histories())
def test_positions_count_up_and_ages_count_down_to_zero(case):
    rows, num_items = case
    interactions = from_rows(rows, num_items)
    assert interactions.positions().tolist() == [k for row in rows for k in range(len(row))]
    assert interactions.ages().tolist() == [k for row in rows for k in reversed(range(len(row)))]


@given(histories())
def test_csr_is_binary_sorted_and_leaves_the_order_untouched(case):
    rows, num_items = case
    interactions = from_rows(rows, num_items)
    matrix = interactions.to_csr(np.float64)
    expected = np.zeros((len(rows), num_items))
    for user, row in enumerate(rows):
        expected[user, row] = 1
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.dtype == np.float64
    assert all(row.tolist() == sorted(row) for row in np.split(matrix.indices, matrix.indptr[1:-1]))
    assert [interactions.items_of(user).tolist() for user in range(len(rows))] == rows


@given(histories(), st.data())
def test_selected_users_keep_their_rows_in_the_order_asked(case, data):
    rows, num_items = case
    users = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    selected = from_rows(rows, num_items).select_users(users)
    assert (selected.num_users, selected.num_items) == (len(users), num_items)
    assert [selected.items_of(k).tolist() for k in range(len(users))] == [rows[u] for u in users]


def test_dtypes_are_as_promised_for_any_integer_input():
    for dtype in (np.int16, np.uint32, np.int64):
        interactions = Interactions.from_pairs(np.array([[0, 1], [1, 0]], dtype), 2, 2)
        assert interactions.indptr.dtype == np.int64
        assert interactions.indices.dtype == np.int32


def test_arrays_are_read_only_and_the_callers_stay_writable():
    indices = np.array([1, 0], np.int32)
    interactions = Interactions(1, 2, np.array([0, 2]), indices)
    with pytest.raises(ValueError, match="read-only"):
        interactions.indices[0] = 0
    with pytest.raises(FrozenInstanceError):
        interactions.num_users = 3
    indices[0] = 0


@pytest.mark.parametrize(
    ("indptr", "indices", "message"),
    [
        ([0, 1], np.array([0], np.int64), "`indices` must be int32"),
        ([0, 2], np.array([0], np.int32), "`indptr` must rise from 0"),
        ([1, 1], np.array([0], np.int32), "`indptr` must rise from 0"),
        ([0, 1, 1], np.array([0], np.int32), "must have shape"),
        ([0, 1], np.array([4], np.int32), r"item ids must lie in \[0, 4\), but got 4 to 4"),
        ([0, 1], np.array([-1], np.int32), r"item ids must lie in \[0, 4\)"),
    ],
)
def test_malformed_rows_are_refused(indptr, indices, message):
    with pytest.raises(ValueError, match=message):
        Interactions(1, 4, np.array(indptr), indices)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (np.array([[0.0, 1.0]]), "must be integers"),
        (np.array([0, 1]), "must be integers of shape"),
        (np.array([[5, 1]]), r"user ids must lie in \[0, 2\)"),
        (np.array([[-1, 1]]), r"user ids must lie in \[0, 2\)"),
        (np.array([[0, 2**32 + 1]]), r"item ids must lie in \[0, 3\)"),  # int32 would wrap to 1
    ],
)
def test_malformed_pairs_are_refused(pairs, message):
    with pytest.raises(ValueError, match=message):
        Interactions.from_pairs(pairs, 2, 3)


@pytest.fixture
def dataset() -> Dataset:
    train, valid, test = (from_rows(rows, 4) for rows in ([[2, 0], [1]], [[1], []], [[3], [0]]))
    return Dataset("tiny", train, valid, test, np.ones((4, 2), np.float32), "file", "00")


def test_tuning_split_has_no_test_interactions(dataset):
    split = dataset.tuning_split()
    assert not hasattr(split, "test")
    assert split.train is dataset.train
    assert split.valid is dataset.valid
    assert not split.item_embeddings.flags.writeable


def test_datasets_and_splits_survive_pickling(dataset):
    copy = pickle.loads(pickle.dumps(dataset, protocol=5))  # noqa: S301, our own bytes
    np.testing.assert_array_equal(copy.train.indices, dataset.train.indices)
    np.testing.assert_array_equal(copy.item_embeddings, dataset.item_embeddings)
    assert (copy.name, copy.sha256, copy.notes) == (dataset.name, dataset.sha256, dataset.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid": from_rows([[1]], 4)}, r"`valid` must have train's shape \(2, 4\)"),
        ({"test": from_rows([[1], []], 5)}, r"`test` must have train's shape \(2, 4\)"),
        (
            {"train": from_rows([[1], []], 4)},
            "every user must have a train item, but got 1 users with none",
        ),
        ({"item_embeddings": np.ones((3, 2), np.float32)}, r"float32 of shape \(4, dim\)"),
        ({"item_embeddings": np.ones((4, 2))}, "float32 of shape"),
        ({"protocol": "random"}, "one of published, chronological"),
        ({"embeddings_source": "pca"}, "one of file, svd"),
        ({"embeddings_source": "none"}, "embeddings must be there unless"),
        ({"item_embeddings": None}, "embeddings must be there unless"),
    ],
)
def test_inconsistent_datasets_are_refused(dataset, change, message):
    with pytest.raises(ValueError, match=message):
        replace(dataset, **change)


def test_tuning_split_refuses_lists_of_other_shapes(dataset):
    with pytest.raises(ValueError, match="`valid` must have train's shape"):
        TuningSplit(dataset.train, from_rows([[1]], 4), dataset.item_embeddings)


def test_histories_that_follow_keep_the_order_of_time():
    first = Interactions.from_pairs(np.array([[0, 3], [0, 1], [2, 4]]), 3, 5)
    later = Interactions.from_pairs(np.array([[0, 0], [1, 2]]), 3, 5)
    joined = first.followed_by(later)
    assert [joined.items_of(user).tolist() for user in range(3)] == [[3, 1, 0], [2], [4]]
