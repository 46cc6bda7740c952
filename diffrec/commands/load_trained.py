"""Loads a trained model, its dataset and the original ids, for `recommend` and `evaluate`."""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from diffrec.commands.datasets import locate
from diffrec.commands.runs import TrackedRun, find_run
from diffrec.commands.train import CHECKPOINT_FILE
from diffrec.data import EMBEDDED_NAME, Dataset, load_dataset
from diffrec.data.idmaps import IdMap, read_id_maps
from diffrec.data.sources import find_folder
from diffrec.errors import UserError
from diffrec.training.checkpoint import Checkpoint, load_checkpoint


@dataclass(frozen=True, slots=True)
class LoadedDataset:
    """A dataset with the original ids of its users and items."""

    dataset: Dataset
    users: IdMap
    items: IdMap


def load_model(args: argparse.Namespace) -> tuple[Checkpoint, LoadedDataset]:
    """Read the model that --checkpoint or --run names, and its dataset.

    Raises:
        UserError: one of them is missing, or they do not match.
    """
    if args.run is None:
        path: Path = args.checkpoint
        checkpoint = load_checkpoint(path / CHECKPOINT_FILE if path.is_dir() else path)
        return checkpoint, load_query_dataset(args, checkpoint)
    return load_tracked(find_run(args.run), args)


def load_tracked(run: TrackedRun, args: argparse.Namespace) -> tuple[Checkpoint, LoadedDataset]:
    """Read the model of a tracked run, and its dataset.

    Args:
        run: whose own files are trusted.
        args: `dataset`, `data_dir` and `protocol`; None for the run's own.

    Raises:
        UserError: one of them is missing, or they do not match.
    """
    checkpoint = replace(load_checkpoint(run.checkpoint, trusted=True), dataset=run.dataset)
    if args.dataset is None and args.data_dir is None:
        args.data_dir = run.data_dir
    return checkpoint, load_query_dataset(args, checkpoint)


def load_query_dataset(
    args: argparse.Namespace, checkpoint: Checkpoint | None = None
) -> LoadedDataset:
    """Load the dataset named on the command line, or else the checkpoint's own.

    Raises:
        UserError: neither names one, or the dataset is not what the checkpoint was trained on.
    """
    recorded = {} if checkpoint is None else checkpoint.dataset
    if args.dataset is None and not recorded:
        raise UserError("This checkpoint does not name its dataset; give --dataset.")
    name, data_dir = locate(
        recorded["name"] if args.dataset is None else args.dataset, args.data_dir
    )
    dataset = load_dataset(name, data_dir, args.protocol or recorded.get("protocol", "published"))
    num_items = dataset.num_items  # if it is another, more than a warning follows
    if (
        recorded
        and recorded["sha256"] != dataset.sha256
        and recorded.get("num_items", num_items) == num_items
    ):
        sys.stderr.write(
            f"warning: the checkpoint was trained on other data than {name!r} now holds.\n"
        )
    folder = None if name == EMBEDDED_NAME else find_folder(name, data_dir)
    maps = read_id_maps(folder, dataset.num_users, dataset.num_items)
    return LoadedDataset(dataset, *maps)
