import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data import Interactions, SyntheticConfig, plant, svd_item_embeddings
from diffrec.data import embeddings as module


def reference(train: Interactions, dim: int) -> np.ndarray:
    """The definition, dense: f(σ) V sqrt(num_items), V of the SVD of D_u^-1/2 X D_i^-1/2."""
    X = train.to_csr(np.float64).toarray()
    user_degree, item_degree = X.sum(1, keepdims=True), X.sum(0, keepdims=True)
    normalised = X / np.sqrt(np.maximum(user_degree, 1) * np.maximum(item_degree, 1))
    _, singular_values, right = np.linalg.svd(normalised, full_matrices=False)
    rank = min(dim, int((singular_values > 1e-6).sum()))
    s, V = singular_values[:rank], right[:rank].T
    signs = np.sign(V[np.abs(V).argmax(axis=0), np.arange(rank)])
    return V * signs * (s + s**2 + s**3) / 3 * np.sqrt(train.num_items)


def random_train(num_users: int, num_items: int, seed: int) -> Interactions:
    chosen = np.random.default_rng(seed).random((num_users, num_items)) < 0.3
    return Interactions.from_pairs(np.argwhere(chosen), num_users, num_items)


def test_a_tiny_matrix_by_hand():
    # X = [[1, 1], [0, 1]]: normalised [[1/√2, 1/2], [0, 1/√2]], singular values 1 and 1/2,
    # first right vector proportional to the root of the item degrees 1 and 2.
    train = Interactions.from_pairs([[0, 0], [0, 1], [1, 1]], 2, 2)
    first = np.sqrt(2) * np.array([np.sqrt(1 / 3), np.sqrt(2 / 3)])
    second = np.sqrt(2) * np.array([np.sqrt(2 / 3), -np.sqrt(1 / 3)]) * (1 / 2 + 1 / 4 + 1 / 8) / 3
    np.testing.assert_allclose(svd_item_embeddings(train), np.stack([first, second], 1), rtol=1e-6)


@given(st.integers(0, 30), st.integers(1, 12))
def test_embeddings_equal_the_dense_definition(seed, dim):
    train = random_train(25, 10, seed)
    expected = reference(train, dim)
    embeddings = svd_item_embeddings(train, dim)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == expected.shape
    # Sign and rotation are free where values coincide; what LightGCN scores with is not.
    np.testing.assert_allclose(embeddings @ embeddings.T, expected @ expected.T, atol=1e-4)


def test_iterated_and_full_decomposition_agree(monkeypatch):
    train = random_train(60, 40, seed=3)
    iterated = svd_item_embeddings(train, 12)
    np.testing.assert_allclose(iterated, svd_item_embeddings(train, 64)[:, :12], atol=1e-4)


def test_dimension_is_the_rank_where_the_matrix_has_less():
    twins = Interactions.from_pairs([[0, 0], [0, 1], [1, 2]], 2, 3)  # items 0 and 1 are alike
    embeddings = svd_item_embeddings(twins)
    assert embeddings.shape == (3, 2)
    np.testing.assert_allclose(embeddings[0], embeddings[1], rtol=1e-6)


def test_items_without_train_interactions_get_zeros():
    train = Interactions.from_pairs([[0, 0], [0, 2], [1, 0]], 2, 4)
    embeddings = svd_item_embeddings(train)
    assert np.abs(embeddings[[1, 3]]).max() < 1e-6
    assert np.abs(embeddings[[0, 2]]).max() > 0.1


def test_embeddings_are_deterministic_with_the_largest_entry_positive():
    train = plant(SyntheticConfig()).train
    embeddings = svd_item_embeddings(train)
    np.testing.assert_array_equal(embeddings, svd_item_embeddings(train))
    assert embeddings.shape == (400, module.DEFAULT_DIM)
    assert (embeddings[np.abs(embeddings).argmax(axis=0), np.arange(embeddings.shape[1])] > 0).all()
    assert (
        np.diff(np.linalg.norm(embeddings, axis=0)) <= 1e-4
    ).all()  # columns go by falling weight


def test_dimension_must_be_positive():
    with pytest.raises(ValueError, match="`dim >= 1` must hold, but got 0"):
        svd_item_embeddings(random_train(3, 3, 0), 0)
