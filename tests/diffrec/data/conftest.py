"""What the tests of the data share: a strategy for histories, and a small sound dataset folder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The first example pays for lazy imports and a shared machine is slow at times: no deadline.
settings.register_profile("diffrec-data", deadline=None)
settings.load_profile("diffrec-data")

TRAIN = [[0, 2], [0, 0], [1, 1], [1, 3], [2, 0]]
VALID = [[0, 1], [1, 0], [2, 3]]
TEST = [[0, 3], [2, 1]]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound dataset of 3 users and 4 items, user 1 without a test row."""
    path = tmp_path / "tiny"
    path.mkdir()
    for name, rows in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        np.save(path / f"{name}_list.npy", np.array(rows))
    np.save(path / "item_emb.npy", np.arange(8, dtype=np.float32).reshape(4, 2))
    return path
