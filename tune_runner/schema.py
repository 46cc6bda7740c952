"""Names of a study's tags, metrics and files in MLflow and Optuna, which `analysis` reads.

Every name that two packages must spell alike is defined here, once. Imports no library.
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
"""Tag of a study: the times at which a driver ran, as JSON [[start, end], ...] in whole seconds
since the epoch; the end is null while a driver runs, or if it was killed."""

STUDY_ID = "study_id"
"""Tag of a study and of its trials: the identity that tells studies of one name apart."""

FOLDER = "folder"
"""Tag of a study: the folder of its files, checkpoints among them; relative to the folder of a
local MLflow database if it lies below that."""

TRIAL_NUMBER = "trial_number"
VARIANT = "variant"
PRESET = "preset"
"""Tag of a study: whose presets its trials started from, `published` or `report`."""

PRESET_OF = "preset_of"
"""Tag of a study: the published dataset whose presets were asked for, empty if none was."""

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
`-dirty` at the end if the code had been changed since."""

PARENT = "mlflow.parentRunId"

TRAIN_LOSS = "train/loss"
EPOCH_SECONDS = "train/epoch_seconds"
"""Seconds of training, without validation; a fused trial's share of the joint computation."""

BEST_EPOCH = "best/epoch"
COST_SECONDS = "cost/seconds"
"""Seconds of building, training, validation and test so far; without pauses between two runs of
the study, and without epochs that a failure or an interruption undid."""

COST_CORE_SECONDS = "cost/core_seconds"
COST_GPU_SECONDS = "cost/gpu_seconds"
"""Core and GPU seconds that were reserved for the trial, in every report; its part if several share
a worker (`--fuse`), and at each time with the resources that it had then."""

COST_CPUS = "cost/cpus"
COST_GPUS = "cost/gpus"
"""Mean cores and GPUs that were reserved for the trial; its part if several shared a worker
(`--fuse`)."""

COST_JOULES = "cost/joules"
"""Measured energy of those resources, the trial's share of it; missing if the machine measures
none."""

SPACE_FILE = "space.json"
ENVIRONMENT_FILE = "environment.json"
"""Hardware and versions that a study ran with. A resumed study has one more for each different
environment: `environment_2.json` and so on."""

CONFIG_FILE = "config.json"
USERS_METRIC = "recall@20"
USERS_KEPT = 10_000
USERS_FILE = "test_users.json"
"""Artifact of a complete trial: test `USERS_METRIC` of at most `USERS_KEPT` users, the same in all
trials on a dataset, as {"metric": "recall@20", "users": [0, 2, ...], "values": [0.1, ...]}."""

WEIGHTS_FILE = "weight_trajectory.json"
"""Artifact of a complete trial that learned weights W, at its validations (128 at most):

    {"weighting": "learned_recency", "epochs": [0, 5, ...], "steps": null or [0, 1, ...],
     "ages": [0, 1, 3, 7, ...], "weights": [snapshot][row][column]}

A row of `weights` for each entry of `steps` (zero-based diffusion steps), or a single one where
`steps` is null, since all steps share it. A column for each of `ages` (items since the user's
latest), or, for `learned_steps` and `linear_learned_steps`, for each of `"slots"`: [0, 1, ..., 9],
remembered losses, 0 the newest; [9, 8, ..., 0] with `temporal.ltw_order` = `newest_last`. The first
snapshot is epoch 0: W at the start.
"""


_VALUES_IN_NAME = 4


def mlflow_name(name: str) -> str:
    """Return a metric's name as MLflow accepts it: `valid/recall@20` as `valid/recall_at_20`."""
    return name.replace("@", "_at_")


def from_mlflow_name(name: str) -> str:
    """Return the metric's own name; inverse of `mlflow_name`."""
    return name.replace("_at_", "@")


def trial_name(number: int, params: Mapping[str, Any], seed: int) -> str:
    """Return a trial's name for people, such as `0007 kmeans·3·seed1`.

    If there are many values, only the words are shown: a row of bare numbers says nothing.
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
