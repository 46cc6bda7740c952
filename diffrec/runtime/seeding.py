"""Seeds have names: one root, a label for every source of chance; no torch at import."""

import hashlib

import numpy as np


def derive_seed(root: int, *labels: str | int) -> int:
    """Map (root, labels) to a 63-bit seed, stable across processes, platforms and versions.

    Changing one label leaves every other source of chance untouched.
    """
    text = "/".join(map(str, (root, *labels)))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(root: int, *labels: str | int) -> np.random.Generator:
    """Return a NumPy generator for one named source of chance."""
    return np.random.default_rng(derive_seed(root, *labels))
