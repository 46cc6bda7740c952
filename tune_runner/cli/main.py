"""Command line: arguments to one StudyConfig, then one call. Hyperparameters are never flags.

`--help`, `--list` and `--dry-run` answer at once: nothing here imports Ray, Optuna or MLflow.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from diffrec.command_line import run_command
from diffrec.errors import UserError
from search_spaces import get_space
from tune_runner.cli.arguments import (
    arguments_without_address,
    check_combinations,
    new_config,
    parser,
    resumed_config,
)
from tune_runner.execution.cluster import address_variable, check_address
from tune_runner.execution.remote_driver import SCHEME, run_on_head_node
from tune_runner.monitoring import messages
from tune_runner.study.config import make_plan
from tune_runner.study.folder import StudyFolder
from tune_runner.study.names import check_name
from tune_runner.study.request import check_request


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for a fault of the user's, in one sentence."""
    return run_command(_run, arguments, interrupted="Interrupted before the first trial.")


def _run(arguments: Sequence[str] | None) -> int:
    args = parser().parse_args(arguments)
    if args.list:
        sys.stdout.write(messages.list_spaces() + "\n")
        return 0
    for name in filter(None, (args.status, args.resume)):
        check_name(name)
    if args.status:
        from tune_runner.monitoring.status import status

        sys.stdout.write(status(StudyFolder(Path(args.runs_dir), args.status)) + "\n")
        return 0
    check_combinations(args)
    if args.address is not None:
        check_address(args.address)
    if args.address is not None and args.address.startswith(SCHEME) and not args.dry_run:
        return _run_remotely(args)
    config = resumed_config(args) if args.resume else new_config(args)
    if args.dry_run:
        if args.probe and config.address is not None:
            source = address_variable(config.address) or "--address"
            raise UserError(
                f"--probe measures this machine, but {source} {config.address} runs the trials "
                "elsewhere; probe on one of its nodes, without it."
            )
        space = get_space(config.space)
        plan = make_plan(config, space)
        plan = check_request(config, space, plan, new=not args.resume)
        sys.stdout.write(messages.dry_run(config, space, plan) + "\n")
        if args.probe:
            from tune_runner.probe.estimate import estimate

            sys.stdout.flush()
            sys.stdout.write(estimate(config, space, plan) + "\n")
        return 0
    from tune_runner.runner import run_study

    return run_study(config, resume=bool(args.resume), retry_failed=args.retry_failed)


def _run_remotely(args: argparse.Namespace) -> int:
    """Run the command on the head node of the cluster."""
    if not Path(args.runs_dir).is_absolute():
        source = address_variable(args.address) or "--address"
        raise UserError(
            f"With {source} {args.address} paths are the cluster's, so --runs-dir must be an "
            f"absolute one that its nodes share, but got {args.runs_dir!r}."
        )
    return run_on_head_node(main, arguments_without_address(args), args.address)
