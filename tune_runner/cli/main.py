"""Command line: arguments to one StudyConfig, then one call. Hyperparameters are never flags.

`--help`, `--list` and `--dry-run` answer at once: nothing here imports Ray, Optuna or MLflow.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffrec.command_line import run_command
from diffrec.errors import UserError
from diffrec.terminal import write_lines
from search_spaces import goal_rules
from tune_runner import exit_codes
from tune_runner.cli.arguments import (
    arguments_without_address,
    check_combinations,
    check_json,
    new_config,
    parser,
    resumed_config,
)
from tune_runner.execution.cluster import address_variable, check_address
from tune_runner.execution.remote_driver import SCHEME, run_on_head_node
from tune_runner.monitoring import messages
from tune_runner.monitoring.answers import to_json
from tune_runner.registration import check_can_register, register, registration_text
from tune_runner.study.config import StudyConfig, make_plan
from tune_runner.study.folder import StudyFolder
from tune_runner.study.names import check_model_name, check_name
from tune_runner.study.request import check_request
from tune_runner.study.spaces import study_space


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for a fault of the user's, in one sentence."""
    return run_command(_run, arguments, interrupted="Interrupted before the first trial.")


def _run(arguments: Sequence[str] | None) -> int:
    args = parser().parse_args(arguments)
    check_json(args)
    if args.list:
        _show(args, spaces := messages.list_spaces(), messages.spaces_text(spaces))
        return 0
    for name in filter(None, (args.status, args.resume, args.study)):
        check_name(name)
    if args.status:
        from tune_runner.monitoring.status import read_status, status_text

        state = read_status(StudyFolder(Path(args.runs_dir), args.status))
        _show(args, state, status_text(state))
        return 0
    if args.register is not None:
        check_model_name(args.register)
    check_combinations(args)
    if args.study is not None:
        return _register(args, args.study)
    if args.address is not None:
        check_address(args.address)
    if args.address is not None and args.address.startswith(SCHEME) and not args.dry_run:
        return _run_remotely(args)
    config = resumed_config(args) if args.resume else new_config(args)
    if args.dry_run:
        return _dry_run(args, config)
    if args.register is not None:
        check_can_register(args.register)
        goal_rules.check_registration(study_space(config.space))
    from tune_runner.runner import run_study

    code = run_study(config, resume=bool(args.resume), retry_failed=args.retry_failed)
    if args.register is None:
        return code
    if code == exit_codes.COMPLETE:
        return _register(args, config.name)
    reason = _UNREGISTERED.get(code, "no trial is complete, or a fault stopped the study")
    write_lines(sys.stderr, f"Not registered as {args.register!r}: {reason}.")
    return code


_UNREGISTERED = {
    exit_codes.INTERRUPTED: "the study was interrupted; resume it with --register",
    exit_codes.RECORD_INCOMPLETE: "MLflow lacks some of the record; resume it with --register",
}
"""Why the winner of a study is not registered, by the study's exit code."""


def _register(args: argparse.Namespace, study: str) -> int:
    """Register the winner of a study and say what became of it."""
    done = register(study, args.register, runs_dir=args.runs_dir)
    write_lines(sys.stdout, registration_text(done))
    return exit_codes.COMPLETE


def _dry_run(args: argparse.Namespace, config: StudyConfig) -> int:
    """Show the study that would be run and, with --probe, what it costs."""
    if args.probe and config.address is not None:
        source = address_variable(config.address) or "--address"
        raise UserError(
            f"--probe measures this machine, but {source} {config.address} runs the trials "
            "elsewhere; probe on one of its nodes, without it."
        )
    space = study_space(config.space)
    plan = make_plan(config, space)
    plan = check_request(config, space, plan, new=not args.resume)
    answer = messages.dry_run(config, space, plan)
    if not args.json:  # the measurement takes a while
        _show(args, answer, messages.dry_run_text(answer))
    if args.probe:
        from tune_runner.probe.estimate import estimate, estimate_text

        answer = replace(answer, estimate=(cost := estimate(config, space, plan)))
        if not args.json:
            _show(args, cost, estimate_text(cost))
    if args.json:
        _show(args, answer, "")
    return 0


def _show(args: argparse.Namespace, answer: Any, text: str) -> None:
    """Write an answer: as JSON if that was asked for, or else as text."""
    if args.json:
        sys.stdout.write(to_json(answer) + "\n")
    else:
        write_lines(sys.stdout, text)


def _run_remotely(args: argparse.Namespace) -> int:
    """Run the command on the head node of the cluster."""
    if not Path(args.runs_dir).is_absolute():
        source = address_variable(args.address) or "--address"
        raise UserError(
            f"With {source} {args.address} paths are the cluster's, so --runs-dir must be an "
            f"absolute one that its nodes share, but got {args.runs_dir!r}."
        )
    return run_on_head_node(main, arguments_without_address(args), args.address)
