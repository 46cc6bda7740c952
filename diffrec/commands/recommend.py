"""`python -m diffrec recommend`: the best items of a trained recommender, for users or histories.

For users of the dataset the query is their train list (all lists with --history-from all); a
history of your own is given on the command line or as JSON lines, oldest item first. If the dataset
has original ids, input and output use them.
"""

import argparse
from pathlib import Path

from diffrec.command_line import COUNT_LIMIT, whole_number
from diffrec.commands.arguments import add_dataset, add_model

HELP = (
    "recommend items from a checkpoint or a tracked run, to users of the dataset or for histories"
)
EXAMPLES = (
    ("for every user", "python -m diffrec recommend --checkpoint models/first --out lists.csv"),
    ("for one history", "python -m diffrec recommend --run NAME --history 12,7,93"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model(parser.add_mutually_exclusive_group(required=True))
    add_dataset(parser, required=False)
    query = parser.add_mutually_exclusive_group()
    query.add_argument("--users", metavar="IDS", help="ids with commas between; all if left out")
    query.add_argument("--history", metavar="IDS", help="item ids with commas between")
    query.add_argument(
        "--histories",
        type=Path,
        metavar="FILE",
        help='JSON lines: [3, 1, 2] or {"user": "ann", "history": [3, 1, 2]}',
    )
    parser.add_argument(
        "-k", type=whole_number(1, COUNT_LIMIT), default=20, help="items per user (default 20)"
    )
    parser.add_argument(
        "--history-from",
        "--ask-with",
        choices=("train", "all"),
        default="train",
        help="a user's history: the train list (default), or all lists",
    )
    parser.add_argument("--include-seen", action="store_true", help="also recommend seen items")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=".csv, .tsv or .parquet; standard output if not"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def run(args: argparse.Namespace) -> int:
    """Write user, item, rank."""
    from diffrec.commands.recommend_table import recommend

    recommend(args)
    return 0
