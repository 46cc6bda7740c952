"""Full ranking of all unseen items for every user, in batches sized to the free memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from diffrec.data.interactions import Interactions
from diffrec.errors import UserError
from diffrec.evaluation.beyond_accuracy import Catalogue, ListMetrics
from diffrec.evaluation.metrics import KS, user_metrics
from diffrec.runtime.devices import to_device
from diffrec.runtime.memory import free_memory

SCORES_PER_BATCH = 2**22
"""Scores computed at a time on a CPU, 16 MiB in float32: about the size of its cache."""

SCORES_PER_GPU_BATCH = 2**26
"""Scores computed at a time on a GPU, 256 MiB in float32: small batches leave it idle."""

MIN_ROWS = 64
"""Fewest users at a time: with fewer, reading all weights would cost more than the products."""

_SHARE_OF_FREE = 1 / 8
"""Largest part of the free memory for a batch, scores counted twice (masks may need a copy)."""


class Scorer(Protocol):
    """Model that scores all items for given users."""

    def scores(self, history: Interactions, users: np.ndarray) -> Tensor:
        """Return a score per item, shape (len(users), num_items)."""
        ...


@runtime_checkable
class PreparedScorer(Protocol):
    """Scorer that can cache what the scores of all users share while its weights are fixed."""

    def cached_scoring(self) -> AbstractContextManager[None]:
        """Return a context for many calls of `scores`, in which no weight changes."""
        ...


@dataclass(frozen=True, slots=True)
class EvaluationTask:
    """Items to find and items to mask in one evaluation."""

    target: Interactions
    """Held-out items."""

    seen: Sequence[Interactions]
    """Interactions that must not be recommended."""


class UserResults(NamedTuple):
    """Metrics per user: ids of the users with a target, (n,), and each metric, (n,)."""

    users: np.ndarray
    values: dict[str, np.ndarray]
    of_lists: Mapping[str, float] = MappingProxyType({})
    """Metrics of all lists together (coverage), and of groups of users."""

    def means(self) -> dict[str, float]:
        """Return the metrics averaged over the users, and those of all lists together.

        A user for whom a metric is undefined (NaN) is left out of its mean; so is a metric that is
        defined for nobody.
        """
        means: dict[str, float] = {}
        for name, values in self.values.items():
            mean = float(values.mean())
            if np.isnan(mean):
                defined = values[~np.isnan(values)]
                if not len(defined):
                    continue
                mean = float(defined.mean())
            means[name] = mean
        return means | dict(self.of_lists)


def evaluate(
    model: Scorer,
    *,
    history: Interactions,
    target: Interactions,
    seen: Sequence[Interactions],
    ks: Sequence[int] = KS,
    catalogue: Catalogue | None = None,
) -> dict[str, float]:
    """Return the metrics of `model`'s full ranking, averaged over users with a target.

    Args:
        model: the scorer; a torch module is in eval mode meanwhile.
        history: interactions that the model is queried with.
        target: held-out items.
        seen: interactions that must not be recommended.
        ks: cut-offs.
        catalogue: adds the metrics of `beyond_accuracy`.
    """
    tasks = [EvaluationTask(target, seen)]
    return user_results(model, history=history, tasks=tasks, ks=ks, catalogue=catalogue)[0].means()


def user_results(
    model: Scorer,
    *,
    history: Interactions,
    tasks: Sequence[EvaluationTask],
    ks: Sequence[int] = KS,
    catalogue: Catalogue | None = None,
) -> list[UserResults]:
    """Return each task's metrics per user; every user is scored once for all tasks.

    Validation and test, for example, differ only in the masked items and the targets. With a
    catalogue, the metrics of `beyond_accuracy` are computed of the same lists.
    """
    has_target = [task.target.lengths > 0 for task in tasks]
    lists = [None if catalogue is None else ListMetrics(catalogue, ks) for _ in tasks]
    parts: list[list[dict[str, np.ndarray]]] = [[] for _ in tasks]
    users = np.flatnonzero(np.any(has_target, axis=0))
    for batch, scores in score_batches(model, history=history, users=users):
        for i, task in enumerate(tasks):
            rows = np.flatnonzero(has_target[i][batch])
            # `mask_seen` overwrites the scores: only the last task needs no copy
            task_scores = scores if i == len(tasks) - 1 else scores.clone()
            ranking = top_items(
                task_scores, [part.select_users(batch) for part in task.seen], max(ks)
            )
            target = task.target.select_users(batch[rows])
            if len(rows) < len(batch):
                ranking = ranking[to_device(rows, ranking.device)]
            metrics, beyond = user_metrics(ranking, target, ks), lists[i]
            parts[i].append(metrics if beyond is None else metrics | beyond.add(ranking))
    return [
        _gather(np.flatnonzero(mask), batches, metrics)
        for mask, batches, metrics in zip(has_target, parts, lists, strict=True)
    ]


def ranking_metrics(
    ranking: np.ndarray,
    target: Interactions,
    ks: Sequence[int] = KS,
    catalogue: Catalogue | None = None,
) -> dict[str, float]:
    """Return the metrics of given lists, averaged over the users with a target.

    Args:
        ranking: items from best to worst, as for `user_metrics`.
        target: held-out items of the same users.
        ks: cut-offs.
        catalogue: adds the metrics of `beyond_accuracy`.
    """
    users = np.flatnonzero(target.lengths > 0)
    lists = None if catalogue is None else ListMetrics(catalogue, ks)
    metrics = user_metrics(ranking[users], target.select_users(users), ks)
    if lists is not None:
        metrics |= lists.add(ranking[users])
    return _gather(users, [metrics] if len(users) else [], lists).means()


def _gather(
    users: np.ndarray, batches: Sequence[dict[str, np.ndarray]], lists: ListMetrics | None
) -> UserResults:
    """Return the results of all users of one task.

    Args:
        users: ids of the users, in the order of the batches.
        batches: metrics of the users of each batch.
        lists: metrics beyond accuracy, if they are computed.
    """
    if not batches:
        return UserResults(users, {})
    values = {name: np.concatenate([part[name] for part in batches]) for name in batches[0]}
    return UserResults(users, values, {} if lists is None else lists.of_all(users, values))


def rankings(
    model: Scorer,
    *,
    history: Interactions,
    seen: Sequence[Interactions],
    users: np.ndarray,
    k: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (users, their top-k items, best first); -1 if fewer than k items are unseen.

    No array of shape (num_users, num_items) is allocated.
    """
    for batch, items, _ in scored_rankings(model, history=history, seen=seen, users=users, k=k):
        yield batch, items


def scored_rankings(
    model: Scorer,
    *,
    history: Interactions,
    seen: Sequence[Interactions],
    users: np.ndarray,
    k: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (users, their top-k items, the items' scores), best first.

    Where fewer than k items are unseen, items end in -1 and scores in minus infinity.
    """
    for batch, scores in score_batches(model, history=history, users=users):
        values, items = _top(scores, [part.select_users(batch) for part in seen], k)
        yield batch, items.cpu().numpy(), values.cpu().numpy()


def score_batches(
    model: Scorer, *, history: Interactions, users: np.ndarray
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yield (users, scores of shape (batch, num_items)); the model is in eval mode meanwhile."""
    if len(users) == 0:
        return
    rows = batch_rows(history.num_items, _device(model))
    with _eval_mode(model):
        for batch in np.array_split(users, -(-len(users) // rows)):
            with torch.no_grad():
                scores = model.scores(history, batch)
            _check_scores(scores, (len(batch), history.num_items), type(model).__name__)
            yield batch, scores.contiguous()  # seen items will be overwritten


def top_items(scores: Tensor, seen: Sequence[Interactions], k: int) -> Tensor:
    """Return the k best unseen items, best first, (batch, at most k); -1 if there are fewer.

    Scores of seen items are overwritten.
    """
    return _top(scores, seen, k)[1]


def _top(scores: Tensor, seen: Sequence[Interactions], k: int) -> tuple[Tensor, Tensor]:
    """Return the scores of the k best unseen items, and the items."""
    mask_seen(scores, seen)
    top = scores.topk(min(k, scores.shape[1]), dim=-1)
    if bool(top.values.isnan().any()):  # torch ranks a NaN above all numbers
        raise UserError(
            "The recommender's scores must be numbers, but some are NaN; lower the learning rate, "
            "or correct `scores`."
        )
    return top.values, top.indices.masked_fill(top.values == -torch.inf, -1)


def batch_rows(num_items: int, device: torch.device) -> int:
    """Return the number of users to score at a time, limited by the free memory."""
    max_scores = SCORES_PER_GPU_BATCH if device.type == "cuda" else SCORES_PER_BATCH
    rows = max(MIN_ROWS, max_scores // max(num_items, 1))
    fitting_rows = int(_SHARE_OF_FREE * free_memory(device)) // (2 * 4 * max(num_items, 1))
    return max(1, min(rows, fitting_rows))


def mask_seen(scores: Tensor, seen: Sequence[Interactions]) -> None:
    """Set the scores of seen items, one row of `seen` per row of `scores`, to minus infinity."""
    for rows in seen:
        owners = np.repeat(np.arange(rows.num_users, dtype=np.int64), rows.lengths)
        cells = to_device(owners * scores.shape[1] + rows.indices, scores.device)
        scores.view(-1).index_fill_(0, cells, -torch.inf)


def _check_scores(scores: object, shape: tuple[int, int], name: str) -> None:
    """Refuse what is no score per user and item."""
    if (
        not isinstance(scores, Tensor)
        or tuple(scores.shape) != shape
        or not scores.is_floating_point()
    ):
        got = type(scores).__name__
        if isinstance(scores, Tensor):
            got = f"{scores.dtype} of shape {list(scores.shape)}"
        raise UserError(
            f"`scores` of {name} must return a floating-point tensor of shape {list(shape)}, users "
            f"by items, but got {got}; correct it."
        )


@contextmanager
def _eval_mode(model: Scorer) -> Iterator[None]:
    """Put a module into eval mode and let the model cache what all users share."""
    module = model if isinstance(model, torch.nn.Module) else None
    was_training = module is not None and module.training
    if module is not None:
        module.eval()
    try:
        if isinstance(model, PreparedScorer):
            with model.cached_scoring():
                yield
        else:
            yield
    finally:
        if module is not None:
            module.train(was_training)


def _device(model: Scorer) -> torch.device:
    if isinstance(model, torch.nn.Module):
        for tensor in (*model.parameters(), *model.buffers()):
            return tensor.device
    return torch.device("cpu")
