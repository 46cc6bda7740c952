"""`python -m diffrec train`: trains one configuration and writes a checkpoint with metrics."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffrec.command_line import SEED_LIMIT, whole_number
from diffrec.commands.arguments import add_dataset, parse_settings
from diffrec.errors import UserError
from diffrec.files import check_output_folder, filled_folder, read_json

if TYPE_CHECKING:
    from diffrec.config.base import ModelConfig
    from diffrec.config.preset_choice import DatasetShape

HELP = "train one configuration and keep it as a checkpoint"
EXAMPLES = (
    ("one model", "python -m diffrec train --dataset data/mine --out models/first"),
    (
        "with another setting",
        "python -m diffrec train --dataset data/mine --set diffusion.num_steps=40 --out models/40",
    ),
    (
        "the configuration of a trial",
        "python -m diffrec train --config config.json --dataset data/mine --out models/best",
    ),
)
CHECKPOINT_FILE, CONFIG_FILE, METRICS_FILE = "model.pt", "config.json", "metrics.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--variant", default="DiffRec", help="DiffRec, L-DiffRec, EASE, ...")
    start.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="config.json of an earlier training or of a trial, instead of a preset",
    )
    parser.add_argument(
        "--preset-of",
        metavar="DATASET",
        help="published dataset whose preset to start from; the nearest in size if left out",
    )
    parser.add_argument(
        "--preset",
        choices=("published", "report"),
        help="whose preset: the released checkpoint's, or as the reproduction study ran it "
        "(published if left out)",
    )
    add_dataset(parser, required=True)
    parser.add_argument(
        "--seed", type=whole_number(0, SEED_LIMIT), help="root of every random draw"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change a field of the preset; may be repeated",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--force", action="store_true", help="replace the files in FOLDER")


def run(args: argparse.Namespace) -> int:
    """Train, score the test list once from the best state, write the three files."""
    check_output_folder(args.out, "--out")
    if (args.out / CHECKPOINT_FILE).exists() and not args.force:
        raise UserError(
            f"{args.out / CHECKPOINT_FILE} exists; choose another --out, or --force to replace it."
        )
    _configuration(args)  # command-line errors are reported before the data is read
    from diffrec.commands.datasets import locate
    from diffrec.config.preset_choice import DatasetShape
    from diffrec.data import load_dataset, with_embeddings
    from diffrec.training.checkpoint import save_checkpoint
    from diffrec.training.run import NonFiniteLossError
    from diffrec.training.runs import build_run, metrics_with_valid, score_test

    dataset = load_dataset(*locate(args.dataset, args.data_dir), args.protocol or "published")
    train = dataset.train
    config, source = _configuration(args, DatasetShape(train.num_users, train.num_items, train.nnz))
    if config.needs_embeddings:
        dataset = with_embeddings(dataset)
    for note in (f"Configuration: {source}.", *dataset.notes):
        sys.stdout.write(f"{note}\n")
    training = build_run(config, dataset.tuning_split(), device=check_device(args.device))
    try:
        for report in training.epochs():
            if report.metrics is not None:
                sys.stdout.write(
                    f"epoch {report.epoch:4d}  loss {report.loss:.5f}  valid/recall@20 "
                    f"{report.metrics['valid/recall@20']:.4f}{'  best' if report.is_best else ''}\n"
                )
                sys.stdout.flush()
    except NonFiniteLossError as error:
        raise UserError(str(error)) from error
    metrics = training.best_metrics | score_test(training, dataset.test)
    metrics |= metrics_with_valid(training, dataset.test)
    with filled_folder(args.out) as new:
        save_checkpoint(new / CHECKPOINT_FILE, training, dataset, metrics)
        _write_json(new / CONFIG_FILE, config.to_dict())
        _write_json(new / METRICS_FILE, {"best/epoch": training.best_epoch} | metrics)
    sys.stdout.write(
        f"best epoch {training.best_epoch}: valid/recall@20 {metrics['valid/recall@20']:.4f}, "
        f"test/recall@20 {metrics['test/recall@20']:.4f}; written to {args.out}\n"
    )
    return 0


def _configuration(
    args: argparse.Namespace, shape: "DatasetShape | None" = None
) -> tuple["ModelConfig", str]:
    """Return the configuration of the command line, and where it comes from."""
    settings = parse_settings(args.settings)
    if args.seed is not None:
        settings["seed"] = args.seed
    if args.config is None:
        from diffrec.config.preset_choice import shorten_interval
        from diffrec.config.presets import preset

        name = Path(args.dataset).name
        start = preset(
            args.variant, name, shape=shape, like=args.preset_of, source=args.preset or "published"
        )
        settings |= shorten_interval(start.config, settings)
        source = "; ".join(filter(None, (start.source, start.choice)))
        return start.config.replace_values(settings), source
    for flag, value in (("--preset-of", args.preset_of), ("--preset", args.preset)):
        if value is not None:
            raise UserError(
                f"`{flag}` chooses a preset, but `--config` replaces it; leave one out."
            )
    from diffrec.config.families import parse_config

    description = "a configuration in JSON, the config.json of a training or of a trial"
    values = read_json(args.config, description)
    return parse_config(values).replace_values(settings), str(args.config)


def check_device(name: str) -> str:
    """Return the device; refuse one that does not exist."""
    import torch

    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise UserError(f"The device must be cpu, or cuda where there is a GPU, but got {name!r}.")
    return name


def _write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
