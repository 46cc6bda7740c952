"""Arguments that several commands share, and how they are read."""

import argparse
import json
from pathlib import Path
from typing import Any

from diffrec.errors import UserError

PROTOCOLS = ("published", "chronological")


def add_dataset(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Declare --dataset, --data-dir and --protocol."""
    parser.add_argument(
        "--dataset", required=required, help="name of a dataset, or the path of its folder"
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="parent of the dataset folders"
    )
    parser.add_argument("--protocol", choices=PROTOCOLS, help="which list is valid, which is test")


def add_model(group: argparse._MutuallyExclusiveGroup) -> None:
    """Declare the two ways to name a trained model, --checkpoint and --run."""
    group.add_argument("--checkpoint", type=Path, help="model.pt, or the folder that train wrote")
    group.add_argument(
        "--run", metavar="ID", help="MLflow run of a trial, or name of a study: its best trial"
    )


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Return {"diffusion.num_steps": 40} for ["diffusion.num_steps=40"]; values are JSON or text.

    Raises:
        UserError: a setting has no `=`.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or not path.strip():
            raise UserError(
                f"A setting is written path=value, but got {setting!r}; write seed=3, for example."
            )
        try:
            values[path.strip()] = json.loads(value)
        except (ValueError, RecursionError):  # a ValueError is no JSON, or digits by the thousand
            values[path.strip()] = value
    return values
