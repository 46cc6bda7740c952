"""What a study is called where it is recorded: the names that `analysis` reads in MLflow.

No engine is imported here. Everything that another room must spell the same way lives in this file.
"""

from collections.abc import Mapping
from typing import Any, Literal

EXPERIMENT = "diffrec"
"""The MLflow experiment of every study."""

StudyState = Literal["running", "complete", "interrupted"]
TrialState = Literal["running", "complete", "pruned", "failed"]

KIND = "kind"
"""Tag: "study" on a parent run, "trial" on its children."""

STUDY = "study"
STATE = "state"
SPACE = "space"
OBJECTIVE = "objective"
DIRECTION = "direction"
SESSIONS = "driver_sessions"
"""Tag of a study: when a driver was at work, as JSON [[start, end], ...] in whole seconds since
the epoch; the end is null where a driver was killed, or is at work."""

STUDY_ID = "study_id"
"""Tag of a study and of its trials: which study of that name, if there are others elsewhere."""

FOLDER = "folder"
"""Tag of a study: the folder of its files, checkpoints among them; relative to the folder of a
local MLflow database if it lies below that."""

TRIAL_NUMBER = "trial_number"
VARIANT = "variant"
PRUNED_AT = "pruned_at_epoch"
ERROR = "error"
RETRY_OF = "retry_of"
ROLE = "role"
"""Tag, and Optuna attribute, of a trial outside the search: `CONFIRM`."""

CONFIRM = "confirm"
"""Role of a trial that runs the best point, or its rival, again on a fresh seed."""

POINT = "point"
"""Optuna attribute of a trial: its point of the space, the same for all its seeds."""

NAME = "name"
"""Optuna attribute of a trial: its name for people (`trial_name`)."""

SEED = "seed"
"""Parameter in MLflow and attribute in Optuna, whose samplers must not learn seeds."""


COMMIT = "git_commit"
"""Tag of a study and of each trial: the commits whose code ran it, the first one first; with
`-dirty` at the end where the code had been changed since."""

PARENT = "mlflow.parentRunId"

TRAIN_LOSS = "train/loss"
EPOCH_SECONDS = "train/epoch_seconds"
"""Of training, without validation; of trials that were trained as one computation, its share."""

BEST_EPOCH = "best/epoch"
COST_SECONDS = "cost/seconds"
"""Of building, training, validation and test until then; not of pauses between two runs of the
study, nor of epochs that an accident or an interruption undid."""

COST_CORE_SECONDS = "cost/core_seconds"
COST_GPU_SECONDS = "cost/gpu_seconds"
"""Core and GPU seconds that the trial held, told with every report: its part, where several share a
worker (`--fuse`), and each time with the share that it had then."""

COST_CPUS = "cost/cpus"
COST_GPUS = "cost/gpus"
"""What a trial held of the machine, on average over its time: its part, where several shared a
worker (`--fuse`). One core and no GPU where it was not recorded."""

COST_JOULES = "cost/joules"
"""Energy of the same that the machine measured, the trial's share of it; missing where it measures
none."""

SPACE_FILE = "space.json"
ENVIRONMENT_FILE = "environment.json"
"""What a study ran on and with. One that goes on has another for each way it did:
`environment_2.json` and so on."""

CONFIG_FILE = "config.json"
USERS_METRIC = "recall@20"
USERS_KEPT = 10_000
USERS_FILE = "test_users.json"
"""Of a complete trial: test `USERS_METRIC` of single users, `USERS_KEPT` at most, the same in all
trials on a dataset, as {"metric": "recall@20", "users": [0, 2, ...], "values": [0.1, ...]}."""

WEIGHTS_FILE = "weight_trajectory.json"
"""Of a complete trial that learned weights W, at its validations (128 at most):

    {"weighting": "learned_recency", "epochs": [0, 5, ...], "steps": null or [0, 1, ...],
     "ages": [0, 1, 3, 7, ...], "weights": [snapshot][row][column]}

A row of `weights` for each entry of `steps` (zero-based diffusion steps), or a single one where
`steps` is null: one row serves every step. A column for each of `ages` (items since the user's
latest), or, for `learned_steps`, for each of `"slots"`: [0, 1, ..., 9], remembered losses, newest
first. The first snapshot is epoch 0: W at the start, ones.
"""


_VALUES_IN_NAME = 4


def mlflow_name(name: str) -> str:
    """Return a metric's name as MLflow accepts it: `valid/recall@20` is `valid/recall_at_20`."""
    return name.replace("@", "_at_")


def from_mlflow_name(name: str) -> str:
    """Return the metric's own name; inverse of `mlflow_name`."""
    return name.replace("_at_", "@")


def trial_name(number: int, params: Mapping[str, Any], seed: int) -> str:
    """Return a trial's name for people, such as `0007 kmeans·3·seed1`.

    Of many values only the words are told: a row of bare numbers says nothing.
    """
    values = list(params.values())
    if len(values) > _VALUES_IN_NAME:
        words = [value for value in values if isinstance(value, str)]
        values = [*words, f"{len(values) - len(words)} numbers"]
    parts = [*(_short(value) for value in values), f"seed{seed}"]
    return f"{number:04d} {'·'.join(parts)}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
    return str(value)
