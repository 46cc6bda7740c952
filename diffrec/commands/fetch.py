"""`python -m diffrec fetch`: public data from where it is published, with checksum and resume."""

import argparse
import sys
from pathlib import Path

HELP = "download public data: MovieLens ratings, the released ML-1M lists"
EXAMPLES = (
    ("MovieLens ratings, to be prepared", "python -m diffrec fetch ml-1m"),
    ("the lists that the paper used", "python -m diffrec fetch ml-1m_clean"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", help="ml-100k, ml-1m, ml-25m, ml-1m_clean or ml-1m_noisy")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("data"), metavar="DIR", help="default ./data"
    )
    parser.add_argument("--url", help="another address of the same file, for example a mirror")


def run(args: argparse.Namespace) -> int:
    """Download, unpack and print the next command."""
    from diffrec.preparation.fetching import fetch

    progress = _show_progress if sys.stderr.isatty() else None
    folder, next_step = fetch(args.name, args.data_dir, url=args.url, progress=progress)
    sys.stdout.write(f"{args.name} is in {folder}; next: {next_step}\n")
    return 0


def _show_progress(received: int, total: int | None) -> None:
    of_total = "" if total is None else f" of {total / 2**20:.1f}"
    end = "\n" if received == total else ""
    sys.stderr.write(f"\r{received / 2**20:8.1f}{of_total} MiB{end}")
    sys.stderr.flush()
