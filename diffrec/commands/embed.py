"""`python -m diffrec embed`: item embeddings for a dataset folder, from its train list alone."""

import argparse
import sys
from pathlib import Path

from diffrec.command_line import SEED_LIMIT, whole_number
from diffrec.errors import UserError

EPOCH_LIMIT = 100_000
HELP = "write item embeddings into a dataset folder"
EXAMPLES = (
    ("embeddings from the train list", "python -m diffrec embed data/mine"),
    ("as the paper made them", "python -m diffrec embed data/mine --method lightgcn"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, help="dataset folder")
    parser.add_argument("--method", choices=("svd", "lightgcn"), default="svd")
    parser.add_argument(
        "--epochs", type=whole_number(1, EPOCH_LIMIT), default=50, help="of LightGCN (default 50)"
    )
    parser.add_argument("--seed", type=whole_number(0, SEED_LIMIT), default=1, help="of LightGCN")
    parser.add_argument("--force", action="store_true", help="replace existing embeddings")


def run(args: argparse.Namespace) -> int:
    """Write `item_emb.npy`."""
    if (args.folder / "item_emb.npy").exists() and not args.force:
        raise UserError(f"{args.folder} has embeddings; use --force to replace them.")
    from diffrec.preparation.embedding import embed_folder

    message = embed_folder(args.folder, args.method, seed=args.seed, epochs=args.epochs)
    sys.stdout.write(message + "\n")
    return 0
