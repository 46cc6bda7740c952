"""Writes `item_emb.npy` into a dataset folder: from its train list, by SVD or LightGCN."""

import json
from pathlib import Path

import numpy as np

from diffrec.data.embeddings import svd_item_embeddings
from diffrec.data.released import EMBEDDINGS_FILE, read_released
from diffrec.errors import UserError
from diffrec.files import atomic_write, check_output_file
from diffrec.preparation.manifest import MANIFEST_FILE, read_manifest, sha256

METHODS = ("svd", "lightgcn")


def embed_folder(folder: Path, method: str, *, seed: int = 1, epochs: int = 50) -> str:
    """Write the embeddings, record them in the manifest if there is one, and return a summary.

    Raises:
        UserError: the folder is not a valid dataset, or the method is unknown.
    """
    if method not in METHODS:
        raise UserError(f"Item embeddings are made by {' or '.join(METHODS)}, but got {method!r}.")
    path = folder / EMBEDDINGS_FILE
    check_output_file(path, "The dataset folder")
    train = read_released(folder).train
    entries = read_manifest(folder)
    if method == "svd":
        provenance = {"method": method}
        embeddings = svd_item_embeddings(train)
    else:
        from diffrec.preparation.lightgcn import LightGCNSettings, lightgcn_item_embeddings

        provenance = {"method": method, "seed": seed, "epochs": epochs}
        embeddings = lightgcn_item_embeddings(train, LightGCNSettings(seed=seed, epochs=epochs))
    atomic_write(path, lambda file: np.save(file, embeddings))
    if entries is not None:
        entries["item_embeddings"] = provenance
        entries["files"][EMBEDDINGS_FILE] = sha256(path)
        atomic_write(folder / MANIFEST_FILE, json.dumps(entries, indent=2) + "\n")
    return (
        f"{path}: {embeddings.shape[0]} items x {embeddings.shape[1]}, made by {method} from the "
        "train list alone"
    )
