"""`python -m diffrec evaluate`: our metrics for a trained model, or for any system's own lists."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.commands.arguments import add_dataset, add_model
from diffrec.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from diffrec.commands.load_trained import LoadedDataset
    from diffrec.data import Dataset

HELP = (
    "score a checkpoint, a tracked run, or a ready-made list of recommendations, with our metrics"
)
EXAMPLES = (
    ("a model", "python -m diffrec evaluate --checkpoint models/first"),
    ("the best trial of a study", "python -m diffrec evaluate --run NAME"),
    (
        "lists of any other system",
        "python -m diffrec evaluate --recommendations lists.csv --dataset data/mine",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    add_model(source)
    source.add_argument(
        "--recommendations",
        type=Path,
        metavar="FILE",
        help="CSV, TSV or Parquet with columns user, item and rank (or score)",
    )
    add_dataset(parser, required=False)
    parser.add_argument(
        "--on", choices=("test", "valid"), default="test", help="list of target items"
    )
    parser.add_argument(
        "--history",
        choices=("train", "train+valid"),
        default="train",
        help="history that the model is queried with; train is the published protocol",
    )
    parser.add_argument("--json", action="store_true", help="write the metrics as JSON")


def run(args: argparse.Namespace) -> int:
    """Write one line per metric."""
    metrics = _score_lists(args) if args.recommendations is not None else _score_model(args)
    if args.json:
        sys.stdout.write(json.dumps(metrics, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{name:<28}{value:.4f}\n" for name, value in metrics.items())
    return 0


def _score_model(args: argparse.Namespace) -> dict[str, float]:
    if args.history != "train" and args.on == "valid":
        raise UserError(
            "--history train+valid holds the answers of --on valid; use it with --on test."
        )
    from diffrec.commands.load_trained import load_model
    from diffrec.data import with_embeddings
    from diffrec.evaluation.beyond_accuracy import catalogue_of
    from diffrec.evaluation.ranking import evaluate
    from diffrec.training.runs import WITH_VALID

    checkpoint, loaded = load_model(args)
    data = with_embeddings(loaded.dataset) if checkpoint.config.needs_embeddings else loaded.dataset
    seen = [data.train, data.valid] if args.on == "test" else [data.train]
    target = data.test if args.on == "test" else data.valid
    model = checkpoint.build(data.num_items)
    history, prefix = data.train, args.on
    if args.history != "train":
        history, prefix = data.train.followed_by(data.valid), WITH_VALID
    catalogue = catalogue_of(data.train, data.item_embeddings)
    _note_embeddings(data)
    metrics = evaluate(model, history=history, target=target, seen=seen, catalogue=catalogue)
    return {f"{prefix}/{name}": value for name, value in metrics.items()}


def _score_lists(args: argparse.Namespace) -> dict[str, float]:
    if args.history != "train":
        raise UserError("Ready-made lists are queried with nothing; leave --history out.")
    from diffrec.commands.load_trained import load_query_dataset
    from diffrec.evaluation.beyond_accuracy import catalogue_of
    from diffrec.evaluation.metrics import KS
    from diffrec.evaluation.ranking import ranking_metrics

    if args.dataset is None:
        raise UserError("A list of recommendations needs --dataset for its targets.")
    loaded = load_query_dataset(args)
    target = loaded.dataset.test if args.on == "test" else loaded.dataset.valid
    ranking = _read_ranking(args.recommendations, loaded)
    ks = [k for k in KS if k <= ranking.shape[1]]
    if not ks:
        raise UserError(
            f"The lists must be at least {KS[0]} items long to be scored, but the longest has "
            f"{ranking.shape[1]}."
        )
    has_target = target.lengths > 0
    num_missing = int((has_target & (ranking[:, 0] < 0)).sum())
    if num_missing:
        sys.stderr.write(
            f"note: {num_missing} users have no recommendations; they count as misses.\n"
        )
    catalogue = catalogue_of(loaded.dataset.train, loaded.dataset.item_embeddings)
    _note_embeddings(loaded.dataset)
    metrics = ranking_metrics(ranking, target, ks, catalogue)
    return {f"{args.on}/{name}": value for name, value in metrics.items()}


def _note_embeddings(dataset: "Dataset") -> None:
    if dataset.item_embeddings is None:
        sys.stderr.write(
            "note: intra-list diversity is left out, since the dataset has no item embeddings; "
            "python -m diffrec embed makes them.\n"
        )


def _read_ranking(path: Path, loaded: "LoadedDataset") -> "np.ndarray":
    from diffrec.data.tables import read_table
    from diffrec.evaluation.lists import ranked_lists

    table = read_table(path, ("user", "item"))
    key = next((name for name in ("rank", "score") if name in table.columns), None)
    if key is None or not {"user", "item"} <= set(table.columns):
        raise UserError(
            f"{path} must have the columns user, item and rank (or score), but has "
            f"{', '.join(table.columns)}."
        )
    if not table[key].dtype.is_numeric() or table.null_count().sum_horizontal().item():
        raise UserError(f"{path} must have a number as `{key}` and no empty cells; complete it.")
    users = loaded.users.numbers(table["user"].to_list(), f" in {path}")
    items = loaded.items.numbers(table["item"].to_list(), f" in {path}")
    order = table[key].to_numpy() * (1 if key == "rank" else -1.0)
    return ranked_lists(users, items, order, loaded.dataset.num_users).ranking
