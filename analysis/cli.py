"""Command line: a study's name to its table and report.

`--help` answers at once: MLflow is imported when a study is read.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.replay import command
from diffrec.command_line import CliParser, folder_path, run_command
from diffrec.files import check_output_folder
from tune_runner.tracking_uri import default_tracking_uri

EXAMPLES = (
    ("table, answers and report of a study", "python -m analysis NAME"),
    ("set another study beside it", "python -m analysis NAME --against OTHER"),
    ("the numbers alone, at once", "python -m analysis NAME --no-figures"),
    ("one figure for a paper", "python -m analysis NAME --figure curves"),
    ("would another sampler have found more?", "python -m analysis replay NAME"),
)


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    result = CliParser(
        prog="python -m analysis",
        description="Report a study: print its table, save its report (page, tables, figures), "
        "and attach it to its MLflow run.",
        examples=EXAMPLES,
        allow_abbrev=False,
    )
    read = result.add_argument_group("what is read")
    read.add_argument("study", metavar="STUDY", help="name of a study that MLflow has recorded")
    read.add_argument(
        "--against",
        "--compare-to",
        metavar="STUDY",
        nargs="+",
        action="extend",
        default=[],
        help="other studies to compare it with: shared cells, and variants that it lacks",
    )
    read.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's database or server (default: MLFLOW_TRACKING_URI, else ./mlflow.db)",
    )
    output = result.add_argument_group("what is made")
    output.add_argument(
        "--figure",
        metavar="NAME",
        help="draw this figure only, as PNG and SVG; a wrong name lists those there are",
    )
    output.add_argument(
        "--no-figures",
        action="store_true",
        help="tables and text only, without the page and its figures: a second instead of many",
    )
    output.add_argument(
        "--runs-dir",
        metavar="DIR",
        default="runs",
        type=folder_path,
        help="folder of the studies; files go to DIR/STUDY/report (default: runs)",
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for a fault of the user's, in one sentence."""
    return run_command(_run, arguments, interrupted="Interrupted; the study itself is untouched.")


def _run(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["replay"]:  # a command of its own
        return command.run(words[1:])
    args = parser().parse_args(words)
    uri = args.tracking_uri or default_tracking_uri()
    from analysis.report import build

    runs_dir = Path(args.runs_dir)
    check_output_folder(runs_dir, "--runs-dir")
    if args.figure is not None:
        return build.draw_figure(args.figure, args.study, uri, runs_dir, args.against)
    return build.report_study(
        args.study, uri, runs_dir, args.against, with_figures=not args.no_figures
    )
