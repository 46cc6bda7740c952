"""Histories that are given by hand, as interactions: lists of original item ids, oldest first."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from diffrec.data.idmaps import IdMap
from diffrec.data.interactions import Interactions
from diffrec.errors import UserError


def encode_histories(histories: Iterable[tuple[Sequence[Any], str]], items: IdMap) -> Interactions:
    """Return a row for each history; an item that comes twice counts where it came last.

    Args:
        histories: original item ids, and where they stand, for messages: " in line 3".
        items: the known items.

    Raises:
        UserError: a history is empty, or holds an unknown item.
    """
    pairs: list[list[int]] = []
    row = -1
    for row, (history, context) in enumerate(histories):
        if not len(history):
            raise UserError(f"A history must hold an item, but that{context} is empty.")
        numbers = items.numbers(history, context).tolist()
        latest = reversed(dict.fromkeys(reversed(numbers)))
        pairs += [[row, number] for number in latest]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Interactions.from_pairs(table, row + 1, items.size)
