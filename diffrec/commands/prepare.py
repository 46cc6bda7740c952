"""`python -m diffrec prepare`: raw ratings or events to a dataset folder.

Reads CSV, TSV, Parquet and MovieLens' `::` files; columns are recognised by their names, or by
their order (user, item, rating, timestamp) where there is no header.
"""

import argparse
import math
import sys
from pathlib import Path

from diffrec.command_line import COUNT_LIMIT, SEED_LIMIT, number, whole_number
from diffrec.errors import UserError
from diffrec.files import check_output_folder

HELP = "make a dataset folder from raw ratings or events"
_SPLITS = {"ratio": "ratio", "leave-last": "leave_last", "timestamp": "timestamp"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", type=Path, help="file of ratings or events")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    for kind in ("user", "item", "rating", "time"):
        parser.add_argument(f"--{kind}-column", metavar="NAME", help=f"the {kind}'s column")
    parser.add_argument(
        "--threshold", type=number(-math.inf), default=4.0, help="least rating (default 4)"
    )
    parser.add_argument(
        "--min-user",
        type=whole_number(1, COUNT_LIMIT),
        default=10,
        help="interactions per user at least",
    )
    parser.add_argument(
        "--min-item",
        type=whole_number(1, COUNT_LIMIT),
        default=10,
        help="interactions per item at least",
    )
    parser.add_argument("--split", choices=tuple(_SPLITS), default="ratio")
    parser.add_argument("--ratio", default="7:1:2", help="train:valid:test (default 7:1:2)")
    parser.add_argument(
        "--leave-last", default="1:1", help="valid:test items of each user (default 1:1)"
    )
    parser.add_argument("--moments", help="valid:test, timestamps at which these begin")
    parser.add_argument("--noisy", action="store_true", help="keep ratings below the threshold")
    parser.add_argument("--random-noise", type=float, default=0.0, help="share of random rows")
    parser.add_argument(
        "--seed", type=whole_number(0, SEED_LIMIT), default=1, help="of the random noise"
    )
    parser.add_argument(
        "--embeddings",
        choices=("none", "svd", "lightgcn"),
        default="none",
        help="write item embeddings too; without, they are made by SVD at loading",
    )
    parser.add_argument("--force", action="store_true", help="replace what FOLDER holds")


def run(args: argparse.Namespace) -> int:
    """Write the folder and say what is in it."""
    from diffrec.preparation.settings import PrepareSettings

    check_output_folder(args.out, "--out")
    ratio = _numbers(args.ratio, 3, "--ratio", "7:1:2")
    valid, test = _whole(args.leave_last, "--leave-last", "1:1")
    moments = None
    if args.moments is not None:
        moments = _whole(args.moments, "--moments", "978300000:1000000000")
    settings = PrepareSettings(
        threshold=args.threshold,
        min_user_interactions=args.min_user,
        min_item_interactions=args.min_item,
        split=_SPLITS[args.split],  # pyright: ignore[reportArgumentType]
        ratio=(ratio[0], ratio[1], ratio[2]),
        leave_last=(valid, test),
        moments=moments,
        noisy=args.noisy,
        random_noise=args.random_noise,
        seed=args.seed,
    )
    from diffrec.preparation.folder import prepare_folder
    from diffrec.preparation.formats import Columns

    columns = Columns(
        user=args.user_column,
        item=args.item_column,
        rating=args.rating_column,
        time=args.time_column,
    )
    manifest = prepare_folder(args.source, args.out, settings, columns, force=args.force)
    for name, count in manifest["counts"].items():
        sys.stdout.write(f"{name:<32}{count:>12}\n")
    if args.embeddings != "none":
        from diffrec.preparation.embedding import embed_folder

        sys.stdout.write(embed_folder(args.out, args.embeddings, seed=args.seed) + "\n")
    sys.stdout.write(f"written to {args.out}; next: python -m diffrec check {args.out}\n")
    return 0


def _numbers(text: str, count: int, option: str, example: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(":")]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise UserError(
            f"{option} is {count} numbers with colons between, like {example}, but got {text!r}."
        )
    return found


def _whole(text: str, option: str, example: str) -> tuple[int, int]:
    first, second = _numbers(text, 2, option, example)
    if not (first.is_integer() and second.is_integer()):
        raise UserError(f"{option} is 2 whole numbers, like {example}, but got {text!r}.")
    return int(first), int(second)
