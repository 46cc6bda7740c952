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
    "prepare": prepare,
    "check": check,
    "embed": embed,
    "train": train,
    "evaluate": evaluate,
    "recommend": recommend,
}

TASKS = {
    "get and prepare data": ("fetch", "prepare", "check", "embed"),
    "train and use one model": ("train", "evaluate", "recommend"),
}
"""Commands by what they are for, as --help lists them."""

EXAMPLES = (
    ("get a public dataset", "python -m diffrec fetch ml-1m"),
    ("make a dataset of your ratings", "python -m diffrec prepare ratings.csv --out data/mine"),
    ("look at it", "python -m diffrec check data/mine"),
    ("the arguments of a command", "python -m diffrec train --help"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    width = max(map(len, COMMANDS))
    listed = [
        f"\n{task}:\n" + "\n".join(f"  {name:<{width}}  {COMMANDS[name].HELP}" for name in names)
        for task, names in TASKS.items()
    ]
    parser = CliParser(
        prog="python -m diffrec",
        usage="python -m diffrec COMMAND ...",
        description="\n".join(["Diffusion recommenders and their data.", *listed]),
        examples=EXAMPLES,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="one of those above"
    )
    for name, module in COMMANDS.items():
        described = " ".join((module.__doc__ or "").split("`: ", 1)[1].split())
        command = commands.add_parser(
            name,
            prog=f"python -m diffrec {name}",
            description=described[0].upper() + described[1:],
            examples=module.EXAMPLES,
        )
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
