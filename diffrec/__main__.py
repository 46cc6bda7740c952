"""`python -m diffrec`: fetch, prepare, check, train, evaluate, recommend."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    # `python -m` puts the working directory first: a user's own torch.py there would stand in for
    # the library. Last, it serves whatever a space file imports. No module of ours may come before.
    packages = Path(__file__).resolve().parents[1]
    if Path(sys.path[0]).resolve() == Path.cwd() != packages:
        sys.path += [str(packages), sys.path.pop(0)]

from diffrec.command_line import CliParser, run_command
from diffrec.commands import (
    check,
    embed,
    evaluate,
    fetch,
    prepare,
    recommend,
    train,
)

COMMANDS = {
    "fetch": fetch,
    "embed": embed,
    "prepare": prepare,
    "check": check,
    "train": train,
    "evaluate": evaluate,
    "recommend": recommend,
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = CliParser(
        prog="python -m diffrec", description="Diffusion recommenders and their data."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 for a fault of the user's, in one sentence."""
    return run_command(_run, arguments)


def _run(arguments: Sequence[str] | None) -> int:
    args = build_parser().parse_args(arguments)
    return COMMANDS[args.command].run(args)


if __name__ == "__main__":
    sys.exit(main())
