"""The released ML-1M files for tests that want them: where they lie, or a skip that says why."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[1]


def real_data_dir() -> Path:
    """Return the folder of released datasets: env DIFFREC_DATA, else ../shared/datasets."""
    return Path(os.environ.get("DIFFREC_DATA", _REPOSITORY / "../shared/datasets"))


def require_real_data(name: str = "ml-1m_clean") -> Path:
    """Return the folder of the released dataset `name`, or skip the test and say why."""
    folder = real_data_dir() / name
    if not (folder / "train_list.npy").is_file():
        pytest.skip(f"no released files in {folder} (set DIFFREC_DATA)")
    return folder
