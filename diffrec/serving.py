"""A recommender as MLflow's servers call it: histories in, ranked items with scores out.

MLflow imports this module by its name and calls `_load_pyfunc`, so nothing here imports MLflow, and
nothing is unpickled. The folder that it reads is written by `save_served`.
"""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffrec import user_code
from diffrec.command_line import COUNT_LIMIT
from diffrec.config import external
from diffrec.data.histories import encode_histories
from diffrec.data.idmaps import ITEM_IDS_FILE, IdMap, read_id_map
from diffrec.errors import UserError
from diffrec.evaluation.ranking import scored_rankings
from diffrec.training.checkpoint import Checkpoint, load_checkpoint, write_checkpoint

if TYPE_CHECKING:
    import pandas as pd

HISTORY, ITEMS, SCORES = "history", "items", "scores"
"""Column of the input, and the two of the output; a row is a user."""

DEFAULT_K = 20
_CHECKPOINT, _ABOUT = "model.pt", "serving.json"


class ServedRecommender:
    """A trained recommender with the ids that its users know."""

    def __init__(self, checkpoint: Checkpoint, items: IdMap) -> None:
        self._model, self._items = checkpoint.build(items.size), items
        self._lock = threading.Lock()  # servers call from several threads; a model caches

    def predict(
        self, model_input: "pd.DataFrame", params: Mapping[str, Any] | None = None
    ) -> "pd.DataFrame":
        """Return the best unseen items of each history, and their scores, best first.

        Args:
            model_input: a row for each user; column `history` holds item ids, the oldest first.
            params: `k`, the largest number of items of a user.

        Raises:
            UserError: the column is missing, a history is empty, or an id or `k` is not known.
        """
        import pandas as pd

        k = _check_k((params or {}).get("k", DEFAULT_K))
        if HISTORY not in model_input:
            raise UserError(
                f"The input must have a column {HISTORY!r} of lists of item ids, but has "
                f"{', '.join(map(repr, model_input.columns)) or 'none'}; name it so."
            )
        rows = [_history(value, row) for row, value in enumerate(model_input[HISTORY])]
        history = encode_histories(rows, self._items)
        items: list[list[Any]] = []
        scores: list[list[float]] = []
        with self._lock:
            for _, top, values in scored_rankings(
                self._model, history=history, seen=[history], users=np.arange(len(rows)), k=k
            ):
                for numbers, row_scores in zip(top, values, strict=True):
                    is_item = numbers >= 0
                    items.append(self._items.originals(numbers[is_item]).tolist())
                    scores.append(row_scores[is_item].astype(float).tolist())
        return pd.DataFrame({ITEMS: items, SCORES: scores}, index=model_input.index)


def save_served(
    folder: Path, checkpoint: Checkpoint, items: IdMap, outside: str | None = None
) -> None:
    """Write what `_load_pyfunc` reads into a new folder.

    Args:
        folder: made here.
        checkpoint: of the recommender; its dataset names the number of items.
        items: ids of the items.
        outside: `module:Class` of the configuration of a recommender from outside, importable
            where it is served.
    """
    folder.mkdir()
    name = None if outside is None else checkpoint.config.variant
    write_checkpoint(folder / _CHECKPOINT, checkpoint, family=name)
    if items.ids is not None:
        np.save(folder / ITEM_IDS_FILE, items.ids)
    about = {"num_items": items.size, "recommender": outside}
    (folder / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _load_pyfunc(path: str) -> ServedRecommender:
    """Return the recommender in a folder of `save_served`; MLflow calls this function."""
    folder = Path(path)
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    if about["recommender"] is not None:
        external.register(user_code.load_attribute(about["recommender"], ServedRecommender))
    items = read_id_map("item", folder, about["num_items"])
    return ServedRecommender(load_checkpoint(folder / _CHECKPOINT), items)


def _check_k(value: Any) -> int:
    """Return the number of items that is requested."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise UserError(f"`k` must be a whole number, but got {value!r}; give 1 or more.")
    if not 1 <= value <= COUNT_LIMIT:
        raise UserError(f"`k` must be 1 to {COUNT_LIMIT:,}, but got {value}; give one of these.")
    return int(value)


def _history(value: Any, row: int) -> tuple[list[Any], str]:
    """Return a history and where it stands."""
    if not isinstance(value, list | tuple | np.ndarray):
        raise UserError(
            f"A history must be a list of item ids, but that in row {row} is {value!r:.60}; write "
            "[3, 1, 2], for example."
        )
    return list(value), f" in row {row}"
