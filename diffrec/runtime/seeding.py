"""Seeds derived from one root and a label for every source of randomness; no torch at import."""

import hashlib

import numpy as np


def derive_seed(root: int, *labels: str | int) -> int:
    """Map (root, labels) to a 63-bit seed, stable across processes, platforms and versions.

    A change of one label leaves every other source of randomness as it is.
    """
    text = "/".join(map(str, (root, *labels)))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(root: int, *labels: str | int) -> np.random.Generator:
    """Return a NumPy generator for one named source of randomness."""
    return np.random.default_rng(derive_seed(root, *labels))
