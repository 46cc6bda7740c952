"""Queries of `recommend`, and the table of recommendations."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffrec.commands.load_trained import LoadedDataset, load_model
from diffrec.commands.train import check_device
from diffrec.data.histories import encode_histories
from diffrec.data.interactions import Interactions
from diffrec.data.tables import check_ending, write_table
from diffrec.errors import UserError
from diffrec.evaluation.ranking import rankings
from diffrec.files import check_output_file, read_regular
from diffrec.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Queries:
    """Users to recommend for (rows of `history`), and the items to leave out."""

    history: Interactions
    seen: list[Interactions]
    rows: np.ndarray
    names: np.ndarray
    """(history.num_users,): users' names in the output."""


def recommend(args: argparse.Namespace) -> None:
    """Write the recommendations that the command line requests."""
    if args.out is not None:
        check_ending(args.out)
        check_output_file(args.out, "--out")
    checkpoint, loaded = load_model(args)
    if args.history is not None:
        queries = history_queries([("history", _split(args.history), " of --history")], loaded)
    elif args.histories is not None:
        queries = history_queries(_read_histories(args.histories), loaded)
    else:
        users = None if args.users is None else _split(args.users)
        queries = user_queries(loaded, users, args.history_from)
    columns = recommendations(
        checkpoint, loaded, queries, k=args.k, include_seen=args.include_seen, device=args.device
    )
    write_table(args.out, columns)


def recommendations(
    checkpoint: Checkpoint,
    loaded: LoadedDataset,
    queries: Queries,
    *,
    k: int = 20,
    include_seen: bool = False,
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """Return the best items of a trained model, as columns user, item and rank.

    Args:
        checkpoint: of the model.
        loaded: its dataset, with the original ids.
        queries: whom to recommend for.
        k: items of each.
        include_seen: also recommend items that the user has seen.
        device: cpu or cuda.
    """
    model = checkpoint.build(loaded.dataset.num_items, check_device(device))
    users, items, ranks = [], [], []
    seen = [] if include_seen else queries.seen
    for rows, top in rankings(model, history=queries.history, seen=seen, users=queries.rows, k=k):
        row, rank = np.nonzero(top >= 0)
        users.append(rows[row])
        items.append(top[row, rank])
        ranks.append(rank + 1)
    return {
        "user": queries.names[np.concatenate(users)],
        "item": loaded.items.originals(np.concatenate(items)),
        "rank": np.concatenate(ranks),
    }


def user_queries(
    loaded: LoadedDataset, users: list[Any] | None = None, history_from: str = "train"
) -> Queries:
    """Return queries for users of the dataset.

    Args:
        loaded: the dataset.
        users: their ids; None for all.
        history_from: `train`, or `all` for all of a user's lists.

    Raises:
        UserError: an id is unknown, or none is given.
    """
    dataset = loaded.dataset
    rows = np.arange(dataset.num_users)
    if users is not None:
        if not users:
            raise UserError("--users must name a user, but got none; leave it out for all users.")
        rows = loaded.users.numbers(users, " of --users")
    names = loaded.users.originals(np.arange(dataset.num_users))
    if history_from == "train":
        return Queries(dataset.train, [dataset.train, dataset.valid], rows, names)
    parts = (dataset.train, dataset.valid, dataset.test)  # in order of time: rows stay stable
    pairs = np.concatenate([part.to_pairs() for part in parts])
    merged = Interactions.from_pairs(pairs, dataset.num_users, dataset.num_items)
    return Queries(merged, [merged], rows, names)


def history_queries(histories: list[tuple[str, list[Any], str]], loaded: LoadedDataset) -> Queries:
    """Return queries of one row per history.

    Args:
        histories: (name, item ids with the oldest first, where they stand) each.
        loaded: the dataset that the items are of.

    Raises:
        UserError: a history is empty, or an item unknown.
    """
    items = loaded.items
    history = encode_histories([(ids, context) for _, ids, context in histories], items)
    names = np.array([name for name, _, _ in histories])
    return Queries(history, [history], np.arange(len(histories)), names)


def _read_histories(path: Path) -> list[tuple[str, list[Any], str]]:
    histories: list[tuple[str, list[Any], str]] = []
    try:
        lines = read_regular(path, "a file of histories").decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be JSON lines in UTF-8, but it is not text.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        context = f" in line {number} of {path}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"Each line must be JSON, but that{context} is not: {error}."
            ) from error
        history = value.get("history") if isinstance(value, dict) else value
        if not isinstance(history, list):
            raise UserError(
                f'Each line must be [ids] or {{"user": ..., "history": [ids]}}, but got '
                f"{line.strip()[:60]}{context}."
            )
        name = value.get("user", number) if isinstance(value, dict) else number
        histories.append((str(name), history, context))
    if not histories:
        raise UserError(f"{path} must hold a history, but it is empty.")
    return histories


def _split(ids: str) -> list[str]:
    return [part.strip() for part in ids.split(",") if part.strip()]
