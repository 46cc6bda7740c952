"""Interactions in compressed rows and in order of time, and the datasets made of them.

Every array is handed out read-only, exactly as Ray's object store would hand it to a worker: code
that writes into shared data fails here, on one core, and not first on a cluster.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Protocol = Literal["published", "chronological"]
"""`published`: valid and test as released; `chronological`: the earlier of the two is valid."""

EmbeddingsSource = Literal["file", "svd", "none"]
"""Source of item embeddings: the dataset's own file, or `diffrec.data.embeddings`."""


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Binary interactions of shape (num_users, num_items), each row in time order.

    A user's items are `indices[indptr[user]:indptr[user + 1]]`, oldest first, each at most once
    (the reader of the released format checks that; it would take a sort here). Rows may be empty.
    """

    num_users: int
    num_items: int
    indptr: np.ndarray
    """int64 (num_users + 1,): where each user's row begins and ends."""

    indices: np.ndarray
    """int32 (nnz,): item ids, in time order within each user."""

    def __post_init__(self) -> None:
        _check(self.indptr.dtype == np.int64, "`indptr` must be int64", self.indptr.dtype)
        _check(self.indices.dtype == np.int32, "`indices` must be int32", self.indices.dtype)
        _check(
            self.indptr.shape == (self.num_users + 1,) and self.indices.ndim == 1,
            "`indptr` must have shape (num_users + 1,) and `indices` one axis",
            f"{self.indptr.shape} and {self.indices.shape} for {self.num_users} users",
        )
        _check(
            self.indptr[0] == 0
            and self.indptr[-1] == len(self.indices)
            and bool((self.lengths >= 0).all()),
            "`indptr` must rise from 0 to the number of interactions",
            f"{self.indptr[0]} to {self.indptr[-1]} for {len(self.indices)} interactions",
        )
        if self.nnz:
            low, high = int(self.indices.min()), int(self.indices.max())
            _check(
                low >= 0 and high < self.num_items,
                f"item ids must lie in [0, {self.num_items})",
                f"{low} to {high}",
            )
        object.__setattr__(self, "indptr", _read_only(self.indptr))
        object.__setattr__(self, "indices", _read_only(self.indices))

    @classmethod
    def from_pairs(cls, pairs: ArrayLike, num_users: int, num_items: int) -> Self:
        """Build from (n, 2) rows of [user, item], in time order within each user.

        Users may come in any order and interleaved: rows keep their order within a user.
        """
        pairs = np.asarray(pairs)
        _check(
            pairs.ndim == 2 and pairs.shape[1] == 2 and pairs.dtype.kind in "iu",
            "`pairs` must be integers of shape (n, 2)",
            f"{pairs.dtype} of shape {pairs.shape}",
        )
        users, items = pairs[:, 0], pairs[:, 1]
        for ids, bound, kind in ((users, num_users, "user"), (items, num_items, "item")):
            if len(ids):  # before the cast to int32 below, which would wrap around in silence
                low, high = int(ids.min()), int(ids.max())
                _check(
                    low >= 0 and high < bound,
                    f"{kind} ids must lie in [0, {bound})",
                    f"{low} to {high}",
                )
        if np.any(users[1:] < users[:-1]):
            items = items[np.argsort(users, kind="stable")]
        indptr = np.zeros(num_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(users.astype(np.int64), minlength=num_users), out=indptr[1:])
        return cls(num_users, num_items, indptr, items.astype(np.int32))

    def to_pairs(self) -> np.ndarray:
        """Return int64 (nnz, 2) rows of [user, item], users ascending, each in time order."""
        return np.stack([self.users(), self.indices.astype(np.int64)], axis=1)

    @property
    def nnz(self) -> int:
        """Number of interactions."""
        return len(self.indices)

    @property
    def lengths(self) -> np.ndarray:
        """int64 (num_users,): number of interactions of each user."""
        return np.diff(self.indptr)

    def items_of(self, user: int) -> np.ndarray:
        """Return the item ids of one user, oldest first."""
        return self.indices[self.indptr[user] : self.indptr[user + 1]]

    def users(self) -> np.ndarray:
        """Return int64 (nnz,): the user of each interaction."""
        return np.repeat(np.arange(self.num_users), self.lengths)

    def positions(self) -> np.ndarray:
        """Return int64 (nnz,): rank of each interaction in its user's history, the oldest 0."""
        return np.arange(self.nnz) - np.repeat(self.indptr[:-1], self.lengths)

    def ages(self) -> np.ndarray:
        """Return int64 (nnz,): number of items the user took up since; the latest has age 0."""
        return np.repeat(self.indptr[1:], self.lengths) - 1 - np.arange(self.nnz)

    def slots(self, users: np.ndarray) -> np.ndarray:
        """Return int64: where the interactions of `users` lie in `indices`, user after user."""
        lengths = self.indptr[users + 1] - self.indptr[users]
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        return np.arange(total) + np.repeat(self.indptr[users] - (ends - lengths), lengths)

    def select_users(self, users: ArrayLike) -> "Interactions":
        """Return the rows of `users`, in that order, as users 0, 1, ... of a new object."""
        users = np.asarray(users, dtype=np.int64)
        indptr = np.zeros(len(users) + 1, dtype=np.int64)
        np.cumsum(self.lengths[users], out=indptr[1:])
        return Interactions(len(users), self.num_items, indptr, self.indices[self.slots(users)])

    def followed_by(self, later: "Interactions") -> "Interactions":
        """Return each user's interactions followed by those of `later`, which has the same shape.

        No item may be in both rows of a user.
        """
        pairs = np.concatenate([self.to_pairs(), later.to_pairs()])
        return Interactions.from_pairs(pairs, self.num_users, self.num_items)

    def to_csr(self, dtype: DTypeLike = np.float32) -> "csr_array":
        """Return a SciPy matrix of ones, item ids sorted in each row: the time order is gone."""
        from scipy.sparse import csr_array

        ones = np.ones(self.nnz, dtype=dtype)
        shape = (self.num_users, self.num_items)
        matrix = csr_array((ones, self.indices.copy(), self.indptr.copy()), shape=shape)
        matrix.sort_indices()
        return matrix


@dataclass(frozen=True, slots=True, eq=False)
class TuningSplit:
    """Lists that training and tuning may see. The test interactions are deliberately absent."""

    train: Interactions
    valid: Interactions
    item_embeddings: np.ndarray | None
    """float32 (num_items, dim); None: the dataset has none, and no model has needed them yet."""

    def __post_init__(self) -> None:
        shape = (self.train.num_users, self.train.num_items)
        _check_shape("valid", self.valid, shape)
        embeddings = self.item_embeddings
        if embeddings is None:
            return
        _check(
            embeddings.dtype == np.float32
            and embeddings.ndim == 2
            and len(embeddings) == self.train.num_items,
            f"`item_embeddings` must be float32 of shape ({self.train.num_items}, dim)",
            f"{embeddings.dtype} of shape {embeddings.shape}",
        )
        object.__setattr__(self, "item_embeddings", _read_only(embeddings))


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A dataset with its provenance: its contents, their source, and notes for every result.

    Every user has at least one train interaction (a recommender needs a history as its query).
    Valid and test rows may be empty; metrics average over the users whose row is not.
    """

    name: str
    train: Interactions
    valid: Interactions
    test: Interactions
    item_embeddings: np.ndarray | None
    """float32 (num_items, dim); None exactly where their source is none: see
    `embeddings.with_embeddings`."""

    embeddings_source: EmbeddingsSource
    sha256: str
    """SHA-256 of the contents as released, under every protocol; see `assembly.fingerprint`."""

    protocol: Protocol = "published"
    notes: tuple[str, ...] = ()
    """Sentences that belong beside every result: embeddings made, lists exchanged, ..."""

    def __post_init__(self) -> None:
        split = self.tuning_split()  # checks train, valid and embeddings
        object.__setattr__(self, "item_embeddings", split.item_embeddings)
        _check_shape("test", self.test, (self.num_users, self.num_items))
        num_missing = int(np.count_nonzero(self.train.lengths == 0))
        _check(
            num_missing == 0, "every user must have a train item", f"{num_missing} users with none"
        )
        for value, allowed in (
            (self.protocol, get_args(Protocol)),
            (self.embeddings_source, get_args(EmbeddingsSource)),
        ):
            _check(value in allowed, f"one of {', '.join(allowed)} must be given", repr(value))
        _check(
            (self.item_embeddings is None) == (self.embeddings_source == "none"),
            "embeddings must be there unless their source is none",
            repr(self.embeddings_source),
        )

    @property
    def num_users(self) -> int:
        """Number of users, those of valid and test included."""
        return self.train.num_users

    @property
    def num_items(self) -> int:
        """Number of items, those without any interaction included."""
        return self.train.num_items

    def tuning_split(self) -> TuningSplit:
        """Return the split for training and tuning: everything but the test interactions."""
        return TuningSplit(self.train, self.valid, self.item_embeddings)


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view; the caller's own array stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view


def _check(holds: bool, rule: str, value: object) -> None:
    """Raise ValueError unless the rule holds: readers refuse bad files, so here it is a bug."""
    if not holds:
        raise ValueError(f"{rule}, but got {value}.")


def _check_shape(name: str, interactions: Interactions, shape: tuple[int, int]) -> None:
    actual = (interactions.num_users, interactions.num_items)
    _check(actual == shape, f"`{name}` must have train's shape {shape}", actual)
