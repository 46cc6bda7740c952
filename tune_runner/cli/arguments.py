"""Arguments of `python -m tune_runner`, and the StudyConfig built from them."""

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from diffrec.command_line import CliParser, folder_path, number_or_auto
from diffrec.errors import UserError
from search_spaces.definition import STRATEGIES
from tune_runner import exit_codes
from tune_runner.study import options
from tune_runner.study.config import PRUNERS, StudyConfig
from tune_runner.study.options import (
    RESUME_DEFAULTS,
    STUDY_DEFAULTS,
    custom_resources,
    fixed_option,
)

EXAMPLES = (
    ("see whether it works here, in a minute", "python -m tune_runner --space smoke"),
    ("see trials, time and memory first", "python -m tune_runner --space joint --dry-run --probe"),
    ("search on your own data", "python -m tune_runner --space joint --dataset mine --data-dir ."),
    ("see how it goes, from another terminal", "python -m tune_runner --status NAME"),
    ("continue after a stop or a crash", "python -m tune_runner --resume NAME"),
    ("run the winner on five fresh seeds", "python -m tune_runner --resume NAME --confirm 5"),
    ("bring it into service", "python -m tune_runner --register MODEL --study NAME"),
    ("share a GPU among four trials", "python -m tune_runner --space joint --gpus-per-trial 0.25"),
    ("use a Ray cluster", "python -m tune_runner --space joint --address auto"),
    ("ask from a program", "python -m tune_runner --status NAME --json"),
)


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    result = CliParser(
        prog="python -m tune_runner",
        usage="\n       ".join(
            f"python -m tune_runner {what}"
            for what in ("--space NAME ...", "--resume NAME ...", "--status NAME", "--list")
        ),
        description="Run a search space as a study, on one machine or a cluster.",
        examples=EXAMPLES,
        epilog=exit_codes.HELP,
        allow_abbrev=False,
    )
    for title, add in _GROUPS.items():
        add(result.add_argument_group(title))
    return result


def _add_start(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--space", help="name of a search space, or path of a .py, .json or .yaml")
    group.add_argument("--name", help="name of the study (default: space, dataset and time)")
    group.add_argument("--dataset", default="embedded", help="name of a dataset")
    group.add_argument("--data-dir", help="folder of the datasets, or of this one")
    group.add_argument("--protocol", default="published", help="published or chronological")
    group.add_argument(
        "--preset-of",
        metavar="DATASET",
        help="published dataset whose presets to start from; its own or the nearest if left out",
    )
    group.add_argument(
        "--preset",
        metavar="SOURCE",
        default="published",
        help="whose presets: published (the released checkpoints'), or report (as the "
        "reproduction study ran them)",
    )


def _add_look(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--list", action="store_true", help="show the search spaces and stop")
    group.add_argument("--dry-run", action="store_true", help="show the trials and stop")
    group.add_argument(
        "--probe", action="store_true", help="with --dry-run: estimate time and memory"
    )
    group.add_argument("--status", metavar="NAME", help="show the state of a study and stop")
    group.add_argument(
        "--json", action="store_true", help="with --list, --dry-run or --status: answer in JSON"
    )


def _add_continue(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--resume", metavar="NAME", help="resume a study")
    group.add_argument("--add-trials", type=int, metavar="N", help="with --resume: add N trials")
    group.add_argument(
        "--retry-failed", action="store_true", help="with --resume: run failed trials again"
    )
    group.add_argument(
        "--confirm", type=int, metavar="N", help="run the winner and its rival on N fresh seeds"
    )


def _add_service(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--register",
        metavar="MODEL",
        help="at the end, register the winner in MLflow as a version of MODEL; the champion if "
        "--confirm shows that it is better",
    )
    group.add_argument(
        "--study", metavar="NAME", help="with --register: of this study as it is; nothing is run"
    )


def _add_search(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--trials", type=int, help="trials in total")
    group.add_argument("--seeds", type=int, help="replicates of every point")
    group.add_argument(
        "--seed", type=int, default=1, help="root seed; replicates use it and the numbers after it"
    )
    group.add_argument("--sampler", help=", ".join(STRATEGIES) + "; or module:Class")
    group.add_argument("--pruner", help=", ".join(PRUNERS))
    group.add_argument(
        "--start-from",
        "--from",
        metavar="STUDY",
        help="try the best points of an earlier study first, or of several: A,B",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--max-epochs", type=int, help="largest number of epochs of a trial")
    group.add_argument(
        "--patience", type=int, help="epochs without a better validation that end a trial"
    )
    group.add_argument(
        "--max-trials", type=int, help="largest number of trials that this command starts"
    )
    group.add_argument("--max-hours", type=float, help="hours after which this command stops")
    group.add_argument(
        "--max-cost",
        type=float,
        help="cost of nodes after which the study stops; needs --price",
    )
    group.add_argument(
        "--price",
        help="price of a node-hour, or of each type of node: 0.35, or worker=0.35,gpu=2.10",
    )
    group.add_argument(
        "--max-kwh", type=float, help="energy after which the study stops, in kilowatt-hours"
    )


def _add_resources(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--max-concurrent", type=int, help="largest number of trials at a time")
    group.add_argument("--cpus-per-trial", type=float, help="CPUs of a trial")
    group.add_argument(
        "--gpus-per-trial",
        type=number_or_auto(float),
        help="GPUs of a trial, for example 0.25, or auto",
    )
    group.add_argument(
        "--fuse",
        type=number_or_auto(int),
        metavar="K",
        help="train up to K trials as one computation, or auto",
    )
    group.add_argument(
        "--precision",
        help="precision of training: fp32, bf16, or auto (bf16 in hardware, if validated)",
    )
    group.add_argument(
        "--resources", metavar="JSON", help="""custom resources, for example '{"tpu": 1}'"""
    )
    group.add_argument(
        "--address",
        type=_address_or_none,
        default=os.environ.get("RAY_ADDRESS") or None,  # as Ray sets it in a submitted job
        help="Ray cluster: auto or host:port from within, ray://host:10001 from outside; local is "
        "this machine; RAY_ADDRESS, if set, is the default",
    )


def _add_storage(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--runs-dir", default="runs", type=folder_path, help="folder of the studies")
    group.add_argument("--storage", help="database of the Optuna study (default: a journal file)")
    group.add_argument(
        "--checkpoints",
        metavar="URL",
        help="object store of checkpoints, such as s3://bucket/path (default: the study's folder)",
    )


_GROUPS = {
    "start a study": _add_start,
    "look first, or while it runs": _add_look,
    "continue a study": _add_continue,
    "bring the winner into service": _add_service,
    "search": _add_search,
    "budgets": _add_limits,
    "what a trial gets, and where it runs": _add_resources,
    "where results are kept": _add_storage,
}
"""Groups of arguments by task, in the order of --help."""


def _address_or_none(text: str) -> str | None:
    """Return the address of a cluster; None for this machine, as Ray itself calls it "local"."""
    return None if text in ("", "local") else text


def arguments_without_address(args: argparse.Namespace) -> list[str]:
    """Return the arguments again, those with another value than their default."""
    default = parser().parse_args([])
    words: list[str] = []
    for name, value in vars(args).items():
        if name == "address" or value == getattr(default, name):
            continue
        flag = f"--{name.replace('_', '-')}"
        words += [flag] if value is True else [flag, str(value)]
    return words


def check_json(args: argparse.Namespace) -> None:
    """Refuse --json where there is no answer that it could write."""
    if args.json and not (args.list or args.dry_run or args.status):
        raise UserError("--json needs --list, --dry-run or --status; add one or leave --json out.")


def check_combinations(args: argparse.Namespace) -> None:
    """Refuse flags without the flag that they need."""
    for flag, is_given, required in (
        ("--add-trials", args.add_trials is not None, "--resume"),
        ("--retry-failed", args.retry_failed, "--resume"),
        ("--probe", args.probe, "--dry-run"),
        ("--study", args.study is not None, "--register"),
    ):
        value = getattr(args, required.removeprefix("--").replace("-", "_"))
        if is_given and value in (None, False):
            raise UserError(f"{flag} needs {required}; add it or leave {flag} out.")
    if args.register is not None and args.dry_run:
        raise UserError("--register has no effect with --dry-run; leave one of them out.")
    if args.study is not None:
        _refuse_others(args, ("study", "register", "runs_dir", "address"), "--study")


def _refuse_others(args: argparse.Namespace, allowed: Sequence[str], flag: str) -> None:
    """Refuse flags that have no effect beside `flag`."""
    default = parser().parse_args([])
    for name, value in vars(args).items():
        if value != getattr(default, name) and name not in allowed:
            raise UserError(
                f"--{name.replace('_', '-')} has no effect with {flag}, which runs nothing; leave "
                "it out."
            )


def _resources(text: str) -> tuple[tuple[str, float], ...]:
    """Read custom resources from JSON."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    return custom_resources(parsed, text)


def _options(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    given = {name: getattr(args, name) for name in names}
    if args.resources is not None:
        given["resources"] = dict(_resources(args.resources))
    return given


def new_config(args: argparse.Namespace) -> StudyConfig:
    """Return the settings of a new study.

    Raises:
        UserError: no space is given, or a value is wrong.
    """
    if not args.space:
        raise UserError("Nothing to study: give --space NAME (see --list), or --resume NAME.")
    return options.new_config(args.space, _options(args, STUDY_DEFAULTS))


def resumed_config(args: argparse.Namespace) -> StudyConfig:
    """Return the settings of a study to resume: its own, but for where and with what it runs."""
    default = parser().parse_args([])
    changeable = (*RESUME_DEFAULTS, "resume", "runs_dir", "register")
    changeable += ("probe", "dry_run", "json")
    for flag, value in vars(args).items():
        if value != getattr(default, flag) and flag not in changeable:
            raise UserError(fixed_option(flag))
    return options.resumed_config(args.resume, args.runs_dir, _options(args, RESUME_DEFAULTS))
