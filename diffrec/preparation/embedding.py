"""Writes `item_emb.npy` into a dataset folder: from its train list, by SVD or LightGCN."""

import json
from pathlib import Path

import numpy as np

from diffrec.data.embeddings import svd_item_embeddings
from diffrec.data.released import EMBEDDINGS_FILE, read_released
from diffrec.errors import UserError
from diffrec.preparation.manifest import MANIFEST_FILE, sha256

METHODS = ("svd", "lightgcn")


def embed_folder(folder: Path, method: str, *, seed: int = 1, epochs: int = 50) -> str:
    """Write the embeddings, enter them in the manifest if there is one, return a sentence on it.

    Raises:
        UserError: the folder is no sound dataset, or the method is unknown.
    """
    if method not in METHODS:
        raise UserError(f"Item embeddings are made by {' or '.join(METHODS)}, but got {method!r}.")
    train = read_released(folder).train
    if method == "svd":
        made = {"method": method}
        embeddings = svd_item_embeddings(train)
    else:
        from diffrec.preparation.lightgcn import LightGCNSettings, lightgcn_item_embeddings

        made = {"method": method, "seed": seed, "epochs": epochs}
        embeddings = lightgcn_item_embeddings(train, LightGCNSettings(seed=seed, epochs=epochs))
    path = folder / EMBEDDINGS_FILE
    np.save(path, embeddings)
    manifest = folder / MANIFEST_FILE
    if manifest.is_file():
        entries = json.loads(manifest.read_text(encoding="utf-8"))
        entries["item_embeddings"] = made
        entries["files"][EMBEDDINGS_FILE] = sha256(path)
        manifest.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    return (
        f"{path}: {embeddings.shape[0]} items x {embeddings.shape[1]}, made by {method} from the "
        "train list alone"
    )
