"""`python -m diffrec check`: contents of a dataset, and whether its lists are in order of time."""

import argparse
import json
import sys
from pathlib import Path

from diffrec.errors import UserError

HELP = "report on a dataset: counts, faults, skew, noise, time order of valid and test"
EXAMPLES = (
    ("a dataset of your own", "python -m diffrec check data/mine"),
    ("for a program", "python -m diffrec check data/mine --json --strict"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", help="name of a dataset, or the path of its folder")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="parent of the dataset folders"
    )
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 1 if a file differs from its manifest, too",
    )


def run(args: argparse.Namespace) -> int:
    """Write the report; return 1 if valid and test are exchanged.

    Raises:
        UserError: after the report, if the dataset cannot be loaded.
    """
    from diffrec.commands.datasets import locate
    from diffrec.preparation.report import check_dataset, render

    report = check_dataset(*locate(args.dataset, args.data_dir))
    text = json.dumps(report.to_dict(), indent=2) + "\n" if args.json else render(report)
    sys.stdout.write(text)
    sys.stdout.flush()  # before the error, where both go to one terminal
    if report.refusal is not None:
        raise UserError(report.refusal)
    return 1 if report.is_exchanged or (args.strict and report.is_changed) else 0
