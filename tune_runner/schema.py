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
"""Tag: "study" on a parent run, "trial" on its children; "cell" on the summaries of trials that
differ in the seed alone."""

STUDY = "study"
STATE = "state"
SPACE = "space"
DATASET = "dataset"
PROTOCOL = "protocol"
"""Tags of a study, and of its trials too: whoever lists trials of many studies tells them apart."""

SAMPLER = "sampler"
PRUNER = "pruner"
SEEDS = "seeds"
"""Tag of a study: the seeds of every cell, as "1, 2, 3"."""

BEST_TRIAL = "best_trial"
"""Tag of a study: name of the run whose values the study's run shows."""

CELL = "cell"
"""Tag of a trial and of a cell's summary: the searched values (`cell_label`)."""

OBJECTIVE = "objective"
DIRECTION = "direction"
OBJECTIVES = "objectives"
"""Tag of a study with several objectives: all of them, as JSON (`Objective.to_dict`); `OBJECTIVE`
is then the first."""

CONSTRAINT = "constraint"
"""Tag of a study with a constraint: its text."""

FRONT = "front"
"""Tag of a complete trial of a study with several objectives or a constraint: whether its point is
in the study's answer (the Pareto front), "true" or "false"."""

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
"""Optuna attribute of a trial: its point of the space, the same for all its seeds; tag of a cell's
summary in MLflow."""

SCORES = "scores"
"""Optuna attribute of a complete trial of a study with several objectives or a constraint: the
value of each metric that it is judged by."""

WOULD_PRUNE = "would_prune"
"""Optuna attribute of a trial that is never pruned: the epoch at which it would have been."""

LAST_REPORT = "last_report"
"""Optuna attribute of a trial with several objectives: [epoch, value of the first one] of its last
validation, since Optuna takes no intermediate values of such a trial."""

NAME = "name"
"""Optuna attribute of a trial: its name for people (`trial_name`)."""

SEED = "seed"
"""Parameter and tag in MLflow, and attribute in Optuna, whose samplers must not learn seeds."""

COMMIT = "git_commit"
"""Tag of a study and of each trial: the commits whose code ran it, the first one first; with
`-dirty` at the end if the code had been changed since."""

PARENT = "mlflow.parentRunId"

TRAIN_LOSS = "train/loss"
EPOCH_SECONDS = "train/epoch_seconds"
"""Seconds of training, without validation; a fused trial's share of the joint computation."""

BEST_EPOCH = "best/epoch"
HEADLINE_METRICS = ("test/recall@20", "test/ndcg@20", "test/recall@10", "test/ndcg@10")
"""Test metrics that summaries and views of MLflow's pages show."""

COMPARED_METRIC = "test/recall@20"
"""Test metric that comparisons, the confirmation of a winner among them, are made in."""

CURVE_METRICS = ("valid/recall@20", "valid/ndcg@20")
"""Validation metrics that are recorded in every validated epoch, beside the objective; all others
are recorded once, of the best epoch (`best/valid/...`)."""

TRIALS = "trials"
"""Prefix of a study's counts by state, `trials/complete` say."""

NUM_SEEDS = "trials/seeds"
"""Metric of a study: seeds of every cell; of a cell: those of them with a result."""

DEVIATION = "std"
"""Prefix of a cell's standard deviations over seeds: `std/test/recall@20`. Its means have the names
of the metrics themselves, so that a cell stands beside trials in one column."""

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

CHAMPION = "champion"
"""Alias, in MLflow's registry, of the version that nothing has been shown to be better than."""

SERVED_MODEL = "recommender"
"""Name of the logged model of a registered version."""

REGISTERED_BECAUSE = "champion_reason"
"""Tag of a registered version: why it is, or is not, the champion."""

SPENT = "spent/"
"""Prefix of a study's metrics of what its cluster cost."""

SPENT_NODE_SECONDS = "spent/node_seconds"
"""Metric of a study: seconds of all nodes of its cluster together, while a driver ran it. These
and the others of `spent/` sum over all runs of the command."""

SPENT_ROOM_SECONDS = "spent/room_node_seconds"
"""Those of nodes with room for a trial: without a head that has no cores."""

SPENT_USED_SECONDS = "spent/used_node_seconds"
"""Those that trials held; of a node that could hold two and held one, half."""

SPENT_COST = "spent/cost"
"""Their cost at the prices of `--price`; missing without."""

SPENT_KWH = "spent/kwh"
"""Energy of the nodes, the idle part included; assumed where none was measured."""

SPENT_MEASURED_KWH = "spent/measured_kwh"

PRICE = "price"
"""Tag of a study: its `--price`, empty if none was given."""

SPACE_FILE = "space.json"
ENVIRONMENT_FILE = "environment.json"
"""Hardware and versions that a study ran with. A resumed study has one more for each different
environment: `environment_2.json` and so on."""

CONFIG_FILE = "config.json"
ANSWER_FILE = "answer.txt"
"""File of a report: the answer to the study's question, in one sentence."""

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
_WORD = 10
"""Longest word that a run's name shows whole: a list shows about twenty characters of a name."""


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


def run_name(number: int, params: Mapping[str, Any], seed: int) -> str:
    """Return the name of a trial's run, such as `0007 kmeans·3·s2`.

    A list shows about twenty characters of a name, so what differs stands within them: the number,
    short words, the seed.
    """
    values = list(params.values())
    if len(values) > _VALUES_IN_NAME:
        values = [value for value in values if isinstance(value, str)]
    return f"{number:04d} {'·'.join([*map(_shorter, values), f's{seed}'])}"


def cell_label(params: Mapping[str, Any]) -> str:
    """Return the exact values of a cell, such as `kmeans·3`; "all" if nothing is searched."""
    return "·".join(map(_exact, params.values())) or "all"


def _exact(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _shorter(value: Any) -> str:
    """Return a value's text; of a long word the beginnings of its parts: `gaus_mixt`."""
    text = _short(value)
    if not isinstance(value, str) or len(text) <= _WORD:
        return text
    parts = text.split("_")
    length = max(2, (_WORD + 1) // len(parts) - 1)
    return "_".join(part[:length] for part in parts)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
    return str(value)
