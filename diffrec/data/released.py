"""The released format: a folder of three lists of [user, item] rows, and optional item embeddings.

    train_list.npy  valid_list.npy  test_list.npy   integers (n, 2), in time order within each user
    item_emb.npy                                    floats (num_items, dim); may be left out

The rules (breaking one is a `UserError` of one sentence):

- ids count from 0; a list is never empty and never repeats a row; no row is in two lists;
- every user, 0 to the largest id in any list, has at least one train row: a recommender needs
  a history as its query. Users without valid or test rows are legal;
- the number of items is the largest item id in any list plus one, or the number of embedding rows
  where that is more. Items that never occur are legal.

Files are read without pickle: a dataset cannot run code.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffrec.data.interactions import Interactions
from diffrec.data.npy import read_npy
from diffrec.errors import UserError

LIST_NAMES = ("train", "valid", "test")
EMBEDDINGS_FILE = "item_emb.npy"
_ID_LIMIT = 2**31  # item ids are stored as int32


@dataclass(frozen=True, slots=True, eq=False)
class Released:
    """Contents of a dataset folder, checked."""

    train: Interactions
    valid: Interactions
    test: Interactions
    item_embeddings: np.ndarray | None
    """float32 (num_items, dim); None if the folder has no `item_emb.npy`."""


def list_file(name: str) -> str:
    """Return the file name of the list `name`: train, valid or test."""
    return f"{name}_list.npy"


def times_file(name: str) -> str:
    """Return the file name of the timestamps of the list `name`, which `prepare` writes."""
    return f"{name}_timestamps.npy"


def holds_dataset(folder: Path) -> bool:
    """Return whether `folder` looks like a dataset: it has a train list."""
    return (folder / list_file("train")).is_file()


def read_released(folder: Path) -> Released:
    """Read and check a dataset folder; the first broken rule is a `UserError` of one sentence."""
    lists = read_lists(folder)
    embeddings = _read_embeddings(folder / EMBEDDINGS_FILE)
    num_items = _count_items(folder, lists, embeddings)
    num_users = _count_users(folder, lists)
    _check_rows_are_distinct(folder, lists, num_items)
    train, valid, test = (
        Interactions.from_pairs(lists[name], num_users, num_items) for name in LIST_NAMES
    )
    return Released(train, valid, test, embeddings)


def read_lists(folder: Path) -> dict[str, np.ndarray]:
    """Return the rows of each list, int64 (n, 2), readable but not yet compared with each other."""
    if not folder.is_dir():
        raise UserError(f"A dataset must be a folder, but {folder} is not; check the path.")
    return {name: _read_list(folder / list_file(name)) for name in LIST_NAMES}


def _read_list(path: Path) -> np.ndarray:
    pairs = read_npy(path)
    if pairs.dtype.kind not in "iu":
        raise UserError(
            f"{path} must hold integer ids, but its dtype is {pairs.dtype}; save it as int64."
        )
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise UserError(
            f"{path} must hold rows of [user, item], shape (n, 2), but its shape is {pairs.shape}."
        )
    if len(pairs) == 0:
        raise UserError(f"{path} must hold at least one [user, item] row, but it is empty.")
    low, high = int(pairs.min()), int(pairs.max())
    if low < 0:
        raise UserError(f"{path} must hold ids from 0 upwards, but its smallest is {low}.")
    if high >= _ID_LIMIT:
        raise UserError(f"{path} must hold ids below 2^31, but its largest is {high}.")
    return pairs.astype(np.int64, copy=False)


def _read_embeddings(path: Path) -> np.ndarray | None:
    if not path.exists():
        return None
    embeddings = read_npy(path)
    if embeddings.dtype.kind != "f":
        raise UserError(
            f"{path} must hold floats, but its dtype is {embeddings.dtype}; save it as float32."
        )
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise UserError(
            f"{path} must have shape (num_items, dim), but its shape is {embeddings.shape}."
        )
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, and is refused as such
        embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
    finite = np.all(np.isfinite(embeddings), axis=1)
    if not finite.all():
        raise UserError(
            f"{path} must hold finite float32 numbers, but {_count(~finite)} of {len(finite)} rows "
            f"do not (the first is row {np.argmin(finite)})."
        )
    return embeddings


def _count_items(folder: Path, lists: dict[str, np.ndarray], embeddings: np.ndarray | None) -> int:
    """Return the number of items, by the lists and the embeddings."""
    largest = {name: int(pairs[:, 1].max()) for name, pairs in lists.items()}
    name = max(LIST_NAMES, key=largest.__getitem__)
    num_items = largest[name] + 1
    if embeddings is not None:
        if num_items > len(embeddings):
            raise UserError(
                f"{folder / EMBEDDINGS_FILE} must have a row for every item, but it has "
                f"{len(embeddings)} and {list_file(name)} names item {largest[name]}; use the "
                "embeddings that were made for these lists."
            )
        return len(embeddings)
    # One corrupt id must not allocate gigabytes; ten times is far above any real catalogue's gaps.
    num_rows = sum(map(len, lists.values()))
    if num_items > 10 * num_rows:
        raise UserError(
            f"Item ids must count the items from 0, but {folder / list_file(name)} names item "
            f"{largest[name]} in a dataset of {num_rows} rows; renumber the items."
        )
    return num_items


def _count_users(folder: Path, lists: dict[str, np.ndarray]) -> int:
    """Return the number of users, having checked that each has a train row."""
    num_users = 1 + max(int(pairs[:, 0].max()) for pairs in lists.values())
    users = np.unique(lists["train"][:, 0])
    if len(users) < num_users:
        gap = np.flatnonzero(users != np.arange(len(users)))
        first = gap[0] if len(gap) else len(users)
        raise UserError(
            f"Every user must have a row in {folder / list_file('train')}, but "
            f"{num_users - len(users)} of {num_users} have none (the first is user {first}); "
            "remove those users from the other lists and number the rest from 0."
        )
    return num_users


def _check_rows_are_distinct(folder: Path, lists: dict[str, np.ndarray], num_items: int) -> None:
    """Refuse a row that occurs twice, in one list or in two."""
    keys = {name: pairs[:, 0] * num_items + pairs[:, 1] for name, pairs in lists.items()}
    all_keys = np.sort(np.concatenate(list(keys.values())))
    if not np.any(all_keys[1:] == all_keys[:-1]):
        return
    for name in LIST_NAMES:
        unique, counts = np.unique(keys[name], return_counts=True)
        if len(unique) < len(keys[name]):
            raise UserError(
                f"{folder / list_file(name)} must not repeat a row, but {_count(counts > 1)} "
                f"[user, item] rows occur more than once (the first is "
                f"{_row(unique[counts > 1][0], num_items)}); keep the first of each."
            )
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        common = np.intersect1d(keys[first], keys[second], assume_unique=True)
        if len(common):
            raise UserError(
                f"The lists of {folder} must not overlap, but {list_file(first)} and "
                f"{list_file(second)} share {len(common)} rows (the first is "
                f"{_row(common[0], num_items)}); remove them from one of the two."
            )


def _row(key: int, num_items: int) -> str:
    return f"[{key // num_items}, {key % num_items}]"


def _count(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask))
