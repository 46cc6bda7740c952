"""LightGCN item embeddings, learned from the train list alone.

Initial embeddings of users and items are propagated over the interaction graph and averaged over
the layers; a user's interactions must score above random items (BPR). The product is sparse, so
memory grows with the interactions and the embeddings only.

Source: He et al., "LightGCN", SIGIR 2020, equations 3, 4, 8 and 15; Rendle et al., "BPR", UAI 2009.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec.data.interactions import Interactions
from diffrec.errors import UserError
from diffrec.runtime.seeding import derive_seed, generator


@dataclass(frozen=True, kw_only=True, slots=True)
class LightGCNSettings:
    """Settings of LightGCN; the defaults are the paper's where it has one for all datasets."""

    dim: int = 64
    num_layers: int = 3
    epochs: int = 50
    batch_size: int = 2048
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    """Weight of the squared initial embeddings of a batch, per interaction, halved."""

    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("dim", "num_layers", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name} >= 1` must hold, but got {getattr(self, name)}.")


def lightgcn_item_embeddings(train: Interactions, settings: LightGCNSettings) -> np.ndarray:
    """Return float32 (num_items, dim): the items' embeddings after propagation.

    The same train list and settings give the same embeddings on the same machine.
    """
    adjacency = normalised_adjacency(train)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(settings.seed, "lightgcn"))
        initial = torch.nn.Parameter(0.1 * torch.randn(adjacency.shape[0], settings.dim))
    optimizer = torch.optim.Adam([initial], lr=settings.learning_rate)
    rng = generator(settings.seed, "lightgcn", "batches")
    users = train.users()
    for _ in range(settings.epochs):
        order = rng.permutation(train.nnz)
        for start in range(0, train.nnz, settings.batch_size):
            rows = order[start : start + settings.batch_size]
            triple = (users[rows], train.indices[rows], rng.integers(0, train.num_items, len(rows)))
            loss = _bpr_loss(initial, adjacency, train.num_users, triple, settings)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return propagate(initial, adjacency, settings.num_layers)[train.num_users :].numpy().copy()


def normalised_adjacency(train: Interactions) -> Tensor:
    """Return D^-1/2 A D^-1/2 of the user-item graph, sparse; users first, then items."""
    users = train.users()
    items = train.indices.astype(np.int64)
    degree = (
        np.maximum(train.lengths, 1),
        np.maximum(np.bincount(items, minlength=train.num_items), 1),
    )
    values = (1 / np.sqrt(degree[0][users] * degree[1][items])).astype(np.float32)
    size = train.num_users + train.num_items
    rows, columns = users, items + train.num_users
    indices = np.stack([np.concatenate([rows, columns]), np.concatenate([columns, rows])])
    doubled = torch.from_numpy(np.concatenate([values, values]))
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(indices), doubled, (size, size), check_invariants=True
    )
    return matrix.coalesce()


def propagate(initial: Tensor, adjacency: Tensor, num_layers: int) -> Tensor:
    """Return the mean of the initial and the propagated embeddings of each layer, (nodes, dim)."""
    layer, total = initial, initial
    for _ in range(num_layers):
        layer = torch.sparse.mm(adjacency, layer)
        total = total + layer
    return total / (num_layers + 1)


def _bpr_loss(
    initial: Tensor,
    adjacency: Tensor,
    num_users: int,
    triple: tuple[np.ndarray, np.ndarray, np.ndarray],
    settings: LightGCNSettings,
) -> Tensor:
    """Return -log sigmoid(score of the positive - score of the negative), with weight decay."""
    user, positive, negative = (torch.from_numpy(part.astype(np.int64)) for part in triple)
    nodes = (user, positive + num_users, negative + num_users)
    embeddings = propagate(initial, adjacency, settings.num_layers)
    user_embedding, positive_embedding, negative_embedding = (embeddings[n] for n in nodes)
    difference = (user_embedding * (positive_embedding - negative_embedding)).sum(dim=-1)
    squares = sum((initial[n].square().sum() for n in nodes), start=torch.zeros(()))
    decay = settings.weight_decay * squares / (2 * len(user))
    return -F.logsigmoid(difference).mean() + decay
