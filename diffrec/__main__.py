"""`python -m diffrec`: fetch, prepare, check, train, evaluate, recommend."""

import argparse
import os
import sys
from collections.abc import Sequence

from diffrec.commands import check, embed, evaluate, fetch, prepare, recommend, train
from diffrec.errors import UserError

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
    parser = argparse.ArgumentParser(
        prog="python -m diffrec", description="Diffusion recommenders and their data."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; a fault of the user's is one sentence on stderr and exit code 2."""
    args = build_parser().parse_args(arguments)
    try:
        return COMMANDS[args.command].run(args)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except BrokenPipeError:  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
