"""Assembly of a `Dataset` from checked lists: the protocol, the fingerprint."""

import hashlib

import numpy as np

from diffrec.data.interactions import Dataset, EmbeddingsSource, Interactions, Protocol

EXCHANGED_NOTE = "Protocol chronological: the valid and test lists of the release are exchanged."
IN_ORDER_NOTE = "Protocol chronological: the generated lists are in time order, none is exchanged."


def assemble(
    name: str,
    train: Interactions,
    valid: Interactions,
    test: Interactions,
    item_embeddings: np.ndarray | None = None,
    *,
    protocol: Protocol = "published",
    in_time_order: bool = False,
) -> Dataset:
    """Return the dataset of these lists, with notes on every change made to them.

    Args:
        name: Name of the dataset.
        train: Train list.
        valid: As released.
        test: As released.
        item_embeddings: float32 (num_items, dim); if left out, the dataset has none until a model
            needs them (`embeddings.with_embeddings`).
        protocol: `chronological` exchanges valid and test, unless they are in order.
        in_time_order: Whether valid is known to be earlier than test.
    """
    sha256 = fingerprint(train, valid, test, item_embeddings)
    notes: list[str] = []
    source: EmbeddingsSource = "none" if item_embeddings is None else "file"
    if protocol == "chronological":
        notes.append(IN_ORDER_NOTE if in_time_order else EXCHANGED_NOTE)
        if not in_time_order:
            valid, test = test, valid
    return Dataset(
        name=name,
        train=train,
        valid=valid,
        test=test,
        item_embeddings=item_embeddings,
        embeddings_source=source,
        sha256=sha256,
        protocol=protocol,
        notes=tuple(notes),
    )


def fingerprint(
    train: Interactions,
    valid: Interactions,
    test: Interactions,
    item_embeddings: np.ndarray | None = None,
) -> str:
    """Return the SHA-256 of a dataset's contents: sizes, lists in order, embeddings from a file.

    It depends on contents, not on files: the same rows saved as int32 or as int64 are the same
    dataset. Embeddings that were computed here do not count: they follow from the train list, and
    their last bits from the machine.
    """
    digest = hashlib.sha256(f"{train.num_users} users, {train.num_items} items".encode())
    for interactions in (train, valid, test):
        digest.update(interactions.indptr.astype("<i8", copy=False).tobytes())
        digest.update(interactions.indices.astype("<i4", copy=False).tobytes())
    if item_embeddings is not None:
        digest.update(f"embeddings {item_embeddings.shape}".encode())
        digest.update(item_embeddings.astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
