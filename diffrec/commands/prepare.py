"""`python -m diffrec prepare`: raw ratings or events to a dataset folder.

Reads CSV, TSV, `::`, JSON lines, Parquet, LightGCN and S3Rec files, plain or compressed, and
folders of parts or of train, valid and test files. Columns are recognised by their names, or by
position and values if there is no header.
"""

import argparse
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffrec.command_line import COUNT_LIMIT, SEED_LIMIT, whole_number
from diffrec.errors import UserError
from diffrec.files import check_output_folder

if TYPE_CHECKING:
    from diffrec.preparation.reading.options import ReadOptions
    from diffrec.preparation.settings import PrepareSettings

HELP = "make a dataset folder from raw ratings or events"
EXAMPLES = (
    ("ratings with a header", "python -m diffrec prepare ratings.csv --out data/mine"),
    ("every event counts", "python -m diffrec prepare log.json --threshold none --out data/log"),
    (
        "each user's last items for testing",
        "python -m diffrec prepare ratings.csv --split leave-last --out data/last",
    ),
)
_SPLITS = {"ratio": "ratio", "leave-last": "leave_last", "timestamp": "timestamp"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", type=Path, help="file or folder of ratings or events")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    _add_reading(parser.add_argument_group("reading, if the content is ambiguous"))
    parser.add_argument(
        "--threshold",
        type=_parse_threshold,
        default=4.0,
        metavar="RATING",
        help="least rating that is an interaction, `auto` for the upper quarter of the scale, "
        "`none` for all (default 4)",
    )
    for kind in ("user", "item"):
        parser.add_argument(
            f"--min-{kind}",
            type=whole_number(1, COUNT_LIMIT),
            default=10,
            help=f"interactions per {kind} at least",
        )
    parser.add_argument("--split", choices=tuple(_SPLITS), default="ratio")
    parser.add_argument("--ratio", default="7:1:2", help="train:valid:test (default 7:1:2)")
    parser.add_argument(
        "--leave-last", default="1:1", help="valid:test items of each user (default 1:1)"
    )
    parser.add_argument(
        "--moments",
        "--split-times",
        metavar="VALID:TEST",
        help="timestamps at which valid and test begin (dates: VALID,TEST)",
    )
    parser.add_argument("--noisy", action="store_true", help="keep ratings below the threshold")
    parser.add_argument("--random-noise", type=float, default=0.0, help="share of random rows")
    parser.add_argument(
        "--seed", type=whole_number(0, SEED_LIMIT), default=1, help="seed of the random noise"
    )
    parser.add_argument(
        "--keep-repeats",
        action="store_true",
        help="refused: the models take each item of a user once; the latest row counts",
    )
    parser.add_argument(
        "--embeddings",
        choices=("none", "svd", "lightgcn"),
        default="none",
        help="write item embeddings too; without, models that cluster items have them made by SVD",
    )
    parser.add_argument("--force", action="store_true", help="replace the files in FOLDER")


def _add_reading(group: argparse._ArgumentGroup) -> None:
    for kind in ("user", "item", "rating", "time"):
        absent = "" if kind in ("user", "item") else "; none: without"
        group.add_argument(
            f"--{kind}-column",
            metavar="NAME|POSITION",
            help=f"the {kind}'s column, by name or by position from 1{absent}",
        )
    group.add_argument(
        "--format",
        choices=("auto", "table", "sequences"),
        default="auto",
        help="sequences: a line per user, the user first, then the items",
    )
    group.add_argument("--separator", metavar="TEXT", help="between cells; tab, space, :: as well")
    group.add_argument(
        "--quotes",
        action=argparse.BooleanOptionalAction,
        help='whether " encloses cells; --no-quotes reads it as an ordinary character',
    )
    group.add_argument("--encoding", help="of text that is not UTF-8, like latin-1 or cp1252")
    group.add_argument(
        "--skip-lines", type=whole_number(0), default=0, metavar="N", help="lines before the table"
    )
    group.add_argument(
        "--time-format", metavar="FORMAT", help="of dates, as for strptime: %%d/%%m/%%Y"
    )
    group.add_argument(
        "--drop-bad-rows",
        action="store_true",
        help="drop and count rows with missing fields or unreadable cells instead of refusing them",
    )


def run(args: argparse.Namespace) -> int:
    """Write the folder and print a summary."""
    check_output_folder(args.out, "--out")
    if args.keep_repeats:
        raise UserError(
            "`--keep-repeats` is not supported: every model here takes each item of a user once; "
            "leave it out, and the latest row of a repeated pair counts."
        )
    settings, options = _prepare_settings(args), _read_options(args)
    from diffrec.preparation.folder import prepare_folder

    manifest = prepare_folder(args.source, args.out, settings, options, force=args.force)
    sys.stdout.write(describe(manifest))
    if args.embeddings != "none":
        from diffrec.preparation.embedding import embed_folder

        sys.stdout.write(embed_folder(args.out, args.embeddings, seed=args.seed) + "\n")
    out = args.out if len(args.out.parts) > 1 else f"./{args.out}"
    sys.stdout.write(
        f"written to {args.out}; next: python -m diffrec check {shlex.quote(str(out))}\n"
    )
    return 0


def describe(manifest: dict[str, Any]) -> str:
    """Return a summary of what was read and kept, for the terminal."""
    reading = manifest["reading"]
    lines = [f"{manifest['source']['name']}: {reading['format']}"]
    lines += [f"  {role:<8}{name}" for role, name in reading["columns"].items()]
    if reading["unused"]:
        lines.append(f"  not used: {', '.join(reading['unused'])[:300]}")
    lines += [f"note: {note}" for note in reading["notes"]]
    counts = {name: count for name, count in reading["lines"].items() if count}
    counts |= {
        name: count
        for name, count in manifest["counts"].items()
        if count or not name.endswith(("lines", "rows", "cells", "dropped"))
    }
    lines += [f"{name:<44}{count:>12}" for name, count in counts.items()]
    return "\n".join(lines) + "\n"


def _read_options(args: argparse.Namespace) -> "ReadOptions":
    from diffrec.preparation.reading.options import Columns, ReadOptions

    return ReadOptions(
        columns=Columns(
            user=args.user_column,
            item=args.item_column,
            rating=args.rating_column,
            time=args.time_column,
        ),
        format=args.format,
        separator=args.separator,
        quotes=args.quotes,
        encoding=args.encoding,
        skip_lines=args.skip_lines,
        time_format=args.time_format,
        drop_bad_rows=args.drop_bad_rows,
    )


def _prepare_settings(args: argparse.Namespace) -> "PrepareSettings":
    from diffrec.preparation.settings import PrepareSettings

    ratio = _numbers(args.ratio, 3, "--ratio", "7:1:2")
    valid, test = _whole_numbers(args.leave_last, "--leave-last", "1:1")
    return PrepareSettings(
        threshold=None if args.threshold == "none" else args.threshold,
        min_user_interactions=args.min_user,
        min_item_interactions=args.min_item,
        split=_SPLITS[args.split],  # pyright: ignore[reportArgumentType]
        ratio=(ratio[0], ratio[1], ratio[2]),
        leave_last=(valid, test),
        moments=None if args.moments is None else _parse_moments(args.moments),
        noisy=args.noisy,
        random_noise=args.random_noise,
        seed=args.seed,
    )


def _parse_threshold(text: str) -> float | str:
    if text in ("auto", "none"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, auto or none, but got {text!r}")
    return value


_NO_MOMENT = ("", "nan", "inf", "infinity")


def _parse_moments(text: str) -> tuple[str, str]:
    parts = text.split("," if "," in text else ":")
    if len(parts) != 2 or any(part.strip().lstrip("+-").lower() in _NO_MOMENT for part in parts):
        raise UserError(
            "--moments is two moments, like 978300000:1000000000 or 2001-01-01,2001-07-01, but got "
            f"{text!r}."
        )
    return parts[0].strip(), parts[1].strip()


def _numbers(text: str, count: int, option: str, example: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UserError(
            f"{option} is {count} numbers with colons between, like {example}, but got {text!r}."
        )
    return numbers


def _whole_numbers(text: str, option: str, example: str) -> tuple[int, int]:
    first, second = _numbers(text, 2, option, example)
    if not (first.is_integer() and second.is_integer()):
        raise UserError(f"{option} is 2 whole numbers, like {example}, but got {text!r}.")
    return int(first), int(second)
