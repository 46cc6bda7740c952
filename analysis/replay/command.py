"""Command line of `python -m analysis replay`: searches simulated on a recorded study."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from diffrec.command_line import COUNT_LIMIT, CliParser
from diffrec.errors import UserError, did_you_mean
from search_spaces.definition import PRUNERS, STRATEGIES, check_strategy
from tune_runner.tracking_uri import default_tracking_uri

LANDSCAPES = ("surrogate", "nearest")

EXAMPLES = (
    ("compare two samplers on a study", "python -m analysis replay NAME --sampler tpe random"),
    ("is pruning safe?", "python -m analysis replay NAME --pruner none median hyperband"),
    ("keep its curves as one small file", "python -m analysis replay NAME --export joint.csv.gz"),
)


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    result = CliParser(
        prog="python -m analysis replay",
        description="Simulate searches on the recorded curves of a study, and compare what they "
        "find with how many trials and epochs. Nothing is trained.",
        examples=EXAMPLES,
        allow_abbrev=False,
    )
    read = result.add_argument_group("what is read")
    read.add_argument(
        "study", metavar="STUDY", help="name of a study, or path of an exported recording (.csv.gz)"
    )
    read.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's database or server (default: MLFLOW_TRACKING_URI, else ./mlflow.db)",
    )
    _add_search(result.add_argument_group("what is simulated"))
    output = result.add_argument_group("what is made")
    output.add_argument("--json", action="store_true", help="answer in JSON")
    output.add_argument(
        "--figure", metavar="FILE", type=Path, help="draw regret by trials, as *.png or *.svg"
    )
    output.add_argument(
        "--export", metavar="FILE", type=Path, help="write the curves as *.csv.gz, and stop"
    )
    return result


def _add_search(search: argparse._ArgumentGroup) -> None:
    search.add_argument(
        "--sampler",
        nargs="+",
        default=["random", "tpe", "tpe-hierarchical"],
        help=f"samplers to compare: {', '.join(STRATEGIES)}; or module:Class "
        "(default: random tpe tpe-hierarchical)",
    )
    search.add_argument(
        "--pruner",
        nargs="+",
        default=["none"],
        help=f"pruners to combine each with: {', '.join(PRUNERS)} (default: none)",
    )
    search.add_argument("--seeds", type=int, default=1, help="seeds of a point (default: 1)")
    search.add_argument("--trials", type=int, default=60, help="trials of a study (default: 60)")
    search.add_argument(
        "--repeats", type=int, default=50, help="simulated studies of each (default: 50)"
    )
    search.add_argument("--workers", type=int, default=2, help="trials at a time (default: 2)")
    search.add_argument(
        "--landscape",
        default="surrogate",
        help="curve of a point that was not recorded: surrogate (fitted to all), or nearest (the "
        "nearest recorded point's)",
    )


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        UserError: an argument is wrong, or the study has too few curves.
    """
    args = parser().parse_args(arguments)
    _check(args)
    from analysis.replay.recording import ENDING, from_study, read_recording, write_recording

    if args.study.endswith(ENDING):
        recording = read_recording(Path(args.study))
    else:
        from analysis.study import mlflow_reader

        client = mlflow_reader.connect(args.tracking_uri or default_tracking_uri())
        study = mlflow_reader.read_study(client, args.study)
        recording = from_study(mlflow_reader.with_curves(client, study, [study.objective]))
    if args.export is not None:
        write_recording(recording, args.export)
        sys.stdout.write(f"recording {args.export}\n")
        return 0
    return _compare(args, recording)


def _compare(args: argparse.Namespace, recording: object) -> int:
    from analysis.replay import output
    from analysis.replay.comparison import ReplaySettings, replay_all
    from analysis.replay.landscape import RecordedLandscape
    from analysis.replay.recording import Recording
    from analysis.report_table import to_markdown

    assert isinstance(recording, Recording)
    settings = ReplaySettings(
        tuple(args.sampler), tuple(args.pruner), args.seeds, args.trials, args.workers, args.repeats
    )
    landscape = RecordedLandscape(recording, args.landscape)
    strategies = replay_all(landscape, settings)
    note = output.replay_note(recording, landscape, args.landscape, settings)
    if args.json:
        sys.stdout.write(json.dumps(output.to_json(strategies, settings, note), indent=2) + "\n")
    else:
        sys.stdout.write(to_markdown(output.replay_table(strategies, settings, note)))
    if args.figure is not None:
        _draw(args.figure, output.replay_figure(strategies))
    return 0


def _draw(path: Path, figure: object) -> None:
    from analysis.figures import style

    drawn = (
        style.to_png(figure)  # type: ignore[arg-type]
        if path.suffix == ".png"
        else style.to_svg(figure, "replay").encode()  # type: ignore[arg-type]
    )
    try:
        path.write_bytes(drawn)
    except OSError as error:
        raise UserError(f"--figure cannot write {str(path)!r} ({error.strerror}).") from None


def _check(args: argparse.Namespace) -> None:
    """Refuse wrong values before anything is read."""
    for sampler in args.sampler:
        check_strategy(sampler, "--sampler")
    for flag, values, known in (
        ("--pruner", args.pruner, PRUNERS),
        ("--landscape", [args.landscape], LANDSCAPES),
    ):
        for value in values:
            if value not in known:
                raise UserError(
                    f"{flag} must be one of {', '.join(known)}, but got {value!r}"
                    f"{did_you_mean(value, known)}."
                )
    for flag in ("seeds", "trials", "repeats", "workers"):
        value, least = getattr(args, flag), 2 if flag == "repeats" else 1
        if not least <= value <= COUNT_LIMIT:
            raise UserError(
                f"--{flag} must be {least} or more, and at most {COUNT_LIMIT:,}, but got {value}."
            )
    if args.figure is not None and args.figure.suffix not in (".png", ".svg"):
        raise UserError(f"--figure must end in .png or .svg, but got {str(args.figure)!r}.")
