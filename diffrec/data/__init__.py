"""Interactions in compressed rows and time order: sources, checks, item embeddings.

Read-only arrays; no model and no torch here.
Begin reading with `interactions`.
"""

from diffrec.data.assembly import fingerprint
from diffrec.data.batches import dense_rows
from diffrec.data.embeddings import svd_item_embeddings, with_embeddings
from diffrec.data.interactions import (
    Dataset,
    EmbeddingsSource,
    Interactions,
    Protocol,
    TuningSplit,
)
from diffrec.data.released import read_released
from diffrec.data.sources import EMBEDDED_NAME, RELEASED_NAMES, available_datasets, load_dataset
from diffrec.data.synthetic import Planted, SyntheticConfig, generate, plant

__all__ = [
    "EMBEDDED_NAME",
    "RELEASED_NAMES",
    "Dataset",
    "EmbeddingsSource",
    "Interactions",
    "Planted",
    "Protocol",
    "SyntheticConfig",
    "TuningSplit",
    "available_datasets",
    "dense_rows",
    "fingerprint",
    "generate",
    "load_dataset",
    "plant",
    "read_released",
    "svd_item_embeddings",
    "with_embeddings",
]
