"""Metrics beyond accuracy, of the same top-K lists: coverage, exposure, popularity, diversity.

Users are those with a target, as for accuracy; L_u is a user's list of K items (fewer where fewer
are unseen), I all items of the dataset, U all its users, k_i the number of users who have item i
in train. Popularity is train's, so that no metric knows what validation or test hold.

- coverage@K = |union of the L_u| / |I|: catalogue coverage. Source: Ge, Delgado-Battenfeld and
  Jannach, "Beyond accuracy", RecSys 2010.
- gini@K = sum_j (2 j - |I| - 1) p_j / (|I| - 1), p_j the share of all list places that an item has,
  rising in j: 0 if all items are shown equally often, 1 if one item is shown alone. Less is better.
  Source: Castells, Hurley and Vargas, "Novelty and diversity in recommender systems", Recommender
  Systems Handbook, 2015.
- arp@K = mean over users of the mean k_i in L_u: average recommendation popularity. Less is
  better. Source: Yin et al., "Challenging the long tail recommendation", VLDB 2012, as used by
  Abdollahpouri, Burke and Mobasher, "Managing popularity bias in recommender systems with
  personalized re-ranking", FLAIRS 2019.
- aplt@K = mean over users of the share of L_u in the long tail: average percentage of long-tail
  items, as a fraction. The short head is the most popular fifth of the items (rounded; of equal
  ones the lower id first), the long tail all others. Source: Abdollahpouri, Burke and Mobasher,
  "Controlling popularity bias in learning-to-rank recommendation", RecSys 2017, and 2019 (head).
- novelty@K = mean over users of the mean -log2(k_i / |U|) in L_u: self-information in bits; an
  item that train lacks counts as one with k_i = 1. Source: Zhou et al., "Solving the apparent
  diversity-accuracy dilemma of recommender systems", PNAS 2010.
- ild@K = mean over users of the mean of 1 - cos(e_i, e_j) over the pairs of L_u: intra-list
  diversity, with the dataset's item embeddings; an embedding of zeros has cosine 0 with any other.
  Source: Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005,
  as a mean distance (Castells et al.). Left out where the dataset has no item embeddings.
- recall_short@K, recall_middle@K, recall_long@K = recall@K of the third of these users with the
  shortest, middle and longest histories in train (of equal ones the lower id first; sizes differ
  by one at most).

A mean is taken over the users for whom it is defined: one item for arp, aplt and novelty, two for
ild. A metric that is defined for nobody is left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec.data.interactions import Interactions

BEYOND_KS = (10, 20)
"""Cut-offs of these metrics: those at which recall and NDCG are reported."""

HEAD_SHARE = 0.2
"""Share of the items that are the short head: the most popular ones in train."""

GROUPS = ("short", "middle", "long")
"""Thirds of the users by the length of their history."""

_COUNT, _POPULARITY, _TAIL, _INFORMATION = range(4)


class Catalogue:
    """Items as the metrics see them: popularity in train, long tail, embeddings."""

    def __init__(self, train: Interactions, embeddings: np.ndarray | None = None) -> None:
        """Count train.

        Args:
            train: its interactions.
            embeddings: of the items, float32 (num_items, dim); None: without `ild`.
        """
        self.train, self.embeddings = train, embeddings
        self.num_items = train.num_items
        popularity = np.bincount(train.indices, minlength=train.num_items)
        order = np.argsort(-popularity, kind="stable")
        is_tail = np.ones(train.num_items)
        is_tail[order[: round(HEAD_SHARE * train.num_items)]] = 0
        information = np.log2(max(train.num_users, 1)) - np.log2(np.maximum(popularity, 1))
        columns = np.stack([np.ones(train.num_items), popularity, is_tail, information], axis=1)
        self._columns = _with_empty_row(columns)
        self._units = None if embeddings is None else _with_empty_row(_unit_rows(embeddings))
        self._on_device: dict[torch.device, tuple[Tensor, Tensor | None]] = {}

    def on(self, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return what is summed over a list, and the unit embeddings, float64 (num_items + 1, ...).

        The last row, of zeros, is that of an empty place in a list.
        """
        if device not in self._on_device:
            units = None if self._units is None else torch.from_numpy(self._units).to(device)
            self._on_device[device] = torch.from_numpy(self._columns).to(device), units
        return self._on_device[device]

    def is_of(self, train: Interactions, embeddings: np.ndarray | None) -> bool:
        """Return whether it was made of this very data."""
        return self.train is train and _address(self.embeddings) == _address(embeddings)


_recent: list[Catalogue] = []


def catalogue_of(train: Interactions, embeddings: np.ndarray | None) -> Catalogue:
    """Return the catalogue of the data; the last one again if it is of the same arrays.

    The trials of a worker thus share one, and its copy on the GPU.
    """
    if not _recent or not _recent[0].is_of(train, embeddings):
        _recent[:] = [Catalogue(train, embeddings)]
    return _recent[0]


class ListMetrics:
    """Metrics of the lists of one evaluation, added batch by batch."""

    def __init__(self, catalogue: Catalogue, ks: Sequence[int] = BEYOND_KS) -> None:
        """Begin with no list.

        Args:
            catalogue: of the dataset.
            ks: cut-offs of the evaluation; those of `BEYOND_KS` among them are used.
        """
        self._catalogue, self._ks = catalogue, sorted(set(ks) & set(BEYOND_KS))
        self._shown = [torch.zeros(catalogue.num_items, dtype=torch.long) for _ in self._ks]

    def add(self, ranking: np.ndarray | Tensor) -> dict[str, np.ndarray]:
        """Add lists, best item first, -1 after the last, (users, any length).

        Return each metric of single users, float64 (users,); NaN where it is undefined.
        """
        ranking = torch.as_tensor(ranking)
        columns, units = self._catalogue.on(ranking.device)
        empty = self._catalogue.num_items
        sums = columns.new_zeros(len(ranking), columns.shape[1])
        directions = None if units is None else units.new_zeros(len(ranking), units.shape[1])
        shown = torch.zeros(empty + 1, dtype=torch.long, device=ranking.device)
        metrics: dict[str, Tensor] = {}
        begin = 0
        for i, k in enumerate(self._ks):
            places = ranking[:, begin:k].long()
            places = torch.where(places < 0, empty, places)
            begin = k
            if places.shape[1]:
                shown = shown + torch.bincount(places.flatten(), minlength=empty + 1)
                sums = sums + F.embedding_bag(places, columns, mode="sum")
                if units is not None and directions is not None:
                    directions = directions + F.embedding_bag(places, units, mode="sum")
            self._shown[i] = self._shown[i].to(shown.device) + shown[:-1]
            metrics |= _of_users(k, sums, directions)
        return {name: values.cpu().numpy() for name, values in metrics.items()}

    def of_all(self, users: np.ndarray, per_user: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return the metrics of all lists together, and recall of the groups of users.

        Args:
            users: ids of the users whose lists were added.
            per_user: their metrics, `recall@K` among them, (users,) each.
        """
        metrics = recall_by_history(self._catalogue.train.lengths[users], per_user, self._ks)
        for k, counts in zip(self._ks, self._shown, strict=True):
            shown = counts.cpu().numpy()
            if shown.any():
                metrics[f"coverage@{k}"] = float(np.count_nonzero(shown)) / len(shown)
                metrics[f"gini@{k}"] = gini(shown)
        return metrics


def gini(counts: np.ndarray) -> float:
    """Return the Gini index of how often each item is shown, (num_items,), not all zero."""
    n = len(counts)
    if n == 1:
        return 0.0
    weights = 2 * np.arange(1, n + 1, dtype=np.int64) - n - 1
    # whole numbers up to the division: equal counts have exactly 0
    return float(np.dot(weights, np.sort(counts).astype(np.int64))) / float((n - 1) * counts.sum())


def recall_by_history(
    lengths: np.ndarray, per_user: Mapping[str, np.ndarray], ks: Sequence[int] = BEYOND_KS
) -> dict[str, float]:
    """Return recall of each third of the users by history length; without empty thirds.

    Args:
        lengths: train interactions of each user, (users,).
        per_user: their metrics, `recall@K` among them, (users,) each.
        ks: cut-offs.
    """
    thirds = np.array_split(np.argsort(lengths, kind="stable"), len(GROUPS))
    return {
        f"recall_{group}@{k}": float(per_user[f"recall@{k}"][third].mean())
        for k in ks
        for group, third in zip(GROUPS, thirds, strict=True)
        if len(third)
    }


def _of_users(k: int, sums: Tensor, directions: Tensor | None) -> dict[str, Tensor]:
    """Return the metrics of single users from sums over their lists, (users, ...)."""
    count = sums[:, _COUNT]
    metrics = {
        f"arp@{k}": sums[:, _POPULARITY] / count,
        f"aplt@{k}": sums[:, _TAIL] / count,
        f"novelty@{k}": sums[:, _INFORMATION] / count,
    }
    if directions is not None:
        # |sum of unit vectors|^2 = their own squares (last column) + every pair's cosine, twice
        vectors, own = directions[:, :-1], directions[:, -1]
        pairs = torch.where(count > 1, count * (count - 1), torch.nan)
        metrics[f"ild@{k}"] = 1 - ((vectors * vectors).sum(dim=1) - own) / pairs
    return metrics


def _unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """Return rows of length 1 or 0, and that length as the last column, (num_items, dim + 1)."""
    rows = embeddings.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.concatenate([rows / np.where(lengths > 0, lengths, 1), lengths > 0], axis=1)


def _address(array: np.ndarray | None) -> tuple[int, tuple[int, ...]] | None:
    return None if array is None else (array.ctypes.data, array.shape)


def _with_empty_row(table: np.ndarray) -> np.ndarray:
    return np.concatenate([table, np.zeros((1, table.shape[1]))]).astype(np.float64)
