"""Maps between original ids and our numbers: `user_ids.npy` and `item_ids.npy`, id n at index n."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from diffrec.data.npy import read_npy
from diffrec.errors import UserError

USER_IDS_FILE, ITEM_IDS_FILE = "user_ids.npy", "item_ids.npy"


@dataclass(frozen=True, slots=True)
class IdMap:
    """Ids of users or of items. Without a file every number is its own id."""

    kind: str
    """`user` or `item`, for messages."""

    size: int
    ids: np.ndarray | None = None
    """(size,): integers or text; None if the dataset has no map."""

    _numbers: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Our number of each id; filled when the first one is looked up."""

    def originals(self, numbers: np.ndarray) -> np.ndarray:
        """Return the original ids of our numbers."""
        return numbers if self.ids is None else self.ids[numbers]

    def numbers(self, originals: Iterable[Any], context: str = "") -> np.ndarray:
        """Return our int64 numbers of original ids, given as text or integers.

        Raises:
            UserError: an id is unknown; the message includes `context`.
        """
        lookup = self._lookup()
        indices = []
        for original in originals:
            number = lookup.get(str(original).strip())
            if number is None:
                raise UserError(
                    f"Every {self.kind} id{context} must be one of the dataset's {self.size} "
                    f"{self.kind}s, but got {original!r}; "
                    + ("ids run from 0." if self.ids is None else f"see its {self.kind}_ids.npy.")
                )
            indices.append(number)
        return np.array(indices, dtype=np.int64)

    def _lookup(self) -> dict[str, int]:
        if not self._numbers:
            ids = range(self.size) if self.ids is None else self.ids.tolist()
            self._numbers.update((str(original), number) for number, original in enumerate(ids))
        return self._numbers


def read_id_maps(folder: Path | None, num_users: int, num_items: int) -> tuple[IdMap, IdMap]:
    """Return the maps of users and items; identities where `folder` has none."""
    return read_id_map("user", folder, num_users), read_id_map("item", folder, num_items)


def read_id_map(kind: Literal["user", "item"], folder: Path | None, size: int) -> IdMap:
    """Return the map of users or items; the identity where `folder` has none."""
    name = USER_IDS_FILE if kind == "user" else ITEM_IDS_FILE
    return IdMap(kind, size, _read(folder, name, size))


def _read(folder: Path | None, name: str, size: int) -> np.ndarray | None:
    if folder is None or not (folder / name).is_file():
        return None
    ids = read_npy(folder / name)
    if ids.ndim != 1 or len(ids) != size or ids.dtype.kind not in "iuU":
        raise UserError(
            f"{folder / name} must hold {size} integers or texts, but holds {ids.dtype} of shape "
            f"{ids.shape}; prepare the dataset again."
        )
    return ids
