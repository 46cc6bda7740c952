"""Item embeddings for datasets without any: the spectral form of LightGCN, in closed form.

LightGCN propagates embeddings over the user-item graph, e_k = Â e_{k-1} with Â the symmetrically
normalised adjacency, and averages its layers. On an eigenvector of Â with eigenvalue σ, averaging
the propagated layers 1 ... K multiplies by f(σ) = (σ + σ^2 + ... + σ^K) / K, which keeps what the
graph determines and lets noise fade. The eigenvectors of the bipartite graph are the singular
vectors of D_u^-1/2 X D_i^-1/2, its eigenvalues plus and minus the singular values: so items get the
leading right singular vectors, each scaled by f(σ), with K = 3 as LightGCN's authors use.

Layer 0, the freely learned embedding, is left out: it passes every direction alike, the null space
included, and on planted data it alone hides the communities from k-means.

Source: He et al., "LightGCN", SIGIR 2020 (equations 3, 4 and 8).
"""

from dataclasses import replace

import numpy as np

from diffrec.data.interactions import Dataset, Interactions

DEFAULT_DIM = 64
"""Width of the released `item_emb.npy` files."""

NUM_LAYERS = 3
_RANK_TOLERANCE = 1e-6  # the largest singular value is exactly 1, so this is relative as well


def svd_note(dim: int) -> str:
    """Return the sentence that belongs beside results obtained with these embeddings."""
    return (
        f"Item embeddings were made from the train interactions (truncated SVD, {dim} dimensions), "
        "because the dataset has none."
    )


def with_embeddings(dataset: Dataset) -> Dataset:
    """Return the dataset with item embeddings: its own, or made from train, with a note."""
    if dataset.item_embeddings is not None:
        return dataset
    embeddings = svd_item_embeddings(dataset.train)
    notes = (svd_note(embeddings.shape[1]), *dataset.notes)
    return replace(dataset, item_embeddings=embeddings, embeddings_source="svd", notes=notes)


def svd_item_embeddings(train: Interactions, dim: int = DEFAULT_DIM) -> np.ndarray:
    """Return float32 (num_items, d), d = `dim` or the rank of the train matrix where that is less.

    Columns go by falling singular value, each with its largest entry positive. All is scaled by
    sqrt(num_items), which makes the entries' size independent of the catalogue's. Items without a
    train interaction get zeros. Same input, same machine, same result: nothing is drawn by chance.
    """
    if dim < 1:
        raise ValueError(f"`dim >= 1` must hold, but got {dim}.")
    singular_values, right_vectors = _leading_right_vectors(train, dim)
    is_nonzero = (
        singular_values > _RANK_TOLERANCE
    )  # the rest is the null space: arbitrary directions
    singular_values, right_vectors = singular_values[is_nonzero], right_vectors[:, is_nonzero]
    largest = right_vectors[np.abs(right_vectors).argmax(axis=0), np.arange(right_vectors.shape[1])]
    layer_mean = np.mean([singular_values**k for k in range(1, NUM_LAYERS + 1)], axis=0)
    scale = np.where(largest < 0, -1.0, 1.0) * layer_mean * np.sqrt(train.num_items)
    return np.ascontiguousarray(right_vectors * scale, dtype=np.float32)


def _leading_right_vectors(train: Interactions, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return singular values, falling, and right singular vectors (num_items, <= dim)."""
    from scipy.sparse.linalg import svds

    matrix = train.to_csr(np.float64)
    user_degree = np.maximum(train.lengths, 1)
    item_degree = np.maximum(np.bincount(train.indices, minlength=train.num_items), 1)
    matrix.data /= np.sqrt(np.repeat(user_degree, train.lengths) * item_degree[matrix.indices])
    smaller = min(train.num_users, train.num_items)
    if dim >= smaller:  # a full decomposition, which Lanczos iteration cannot give; small by `dim`
        _, singular_values, right_vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)
        return singular_values[:dim], right_vectors[:dim].T
    # A fixed start is what makes ARPACK deterministic. Not constant: it could miss symmetric cases.
    start = np.cos(np.arange(smaller, dtype=np.float64))
    _, ascending, right_vectors = svds(matrix, k=dim, v0=start)
    order = np.argsort(-np.asarray(ascending), kind="stable")
    return np.asarray(ascending)[order], np.asarray(right_vectors)[order].T
