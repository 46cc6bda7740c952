"""Inputs and outputs of the released formulas, for tests that must agree with them.

`tests/data/parity_small.npz` is a part of the full file (see tests/data/README.md), so that the
tests also run where only the repository is.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
FULL = HERE.parent.parent / "shared" / "parity" / "parity.npz"


@cache
def values() -> dict[str, np.ndarray]:
    chosen = os.environ.get("DIFFREC_PARITY")
    path = Path(chosen) if chosen else FULL if FULL.exists() else HERE / "data" / "parity_small.npz"
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def cases(block: str) -> list[str]:
    names = {"/".join(k.split("/")[:2]) for k in values() if k.startswith(f"{block}/")}
    return sorted(names)


def case(name: str) -> dict[str, Any]:
    """Return one block's arrays by their last name; `args` is read from its JSON string."""
    arrays: dict[str, Any] = {
        key.removeprefix(f"{name}/"): value
        for key, value in values().items()
        if key.startswith(f"{name}/")
    }
    if "args" in arrays:
        arrays["args"] = json.loads(str(arrays["args"]))
    return arrays
