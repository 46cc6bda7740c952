"""Trials and cells of a study as DataFrames, for `tune_runner.StudyHandle` and for notebooks.

pandas is imported when a table is made.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.study.mlflow_reader import connect, read_study
from analysis.study.model import Cell, Study, Trial
from tune_runner.schema import DEVIATION, trial_name

if TYPE_CHECKING:
    import pandas as pd


def study_tables(name: str, uri: str, identity: str = "") -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Return the trials and the cells of a recorded study.

    Args:
        name: of the study.
        uri: of MLflow's database or server.
        identity: of the study, where MLflow has several of its name; else the newest is read.

    Raises:
        UserError: there is no such study, or MLflow does not answer.
    """
    study = read_study(connect(uri), name, identity)
    return trials_table(study), cells_table(study)


def trials_table(study: Study) -> "pd.DataFrame":
    """Return a row for each trial by its number, those on fresh seeds and failed ones included.

    Columns: `name`, `state`, `role`, `seed`, `variant`, the searched parameters by path, the last
    value of every metric, `pruned_at`, `retry_of`, `error`, `run_id`.
    """
    trials = sorted(
        (*study.trials, *study.superseded, *study.confirmation_trials), key=lambda t: t.number
    )
    metrics = sorted({metric for trial in trials for metric in trial.metrics})
    rows = [_trial_row(trial, study.paths, metrics) for trial in trials]
    return _frame(rows, [trial.number for trial in trials], "number")


def cells_table(study: Study) -> "pd.DataFrame":
    """Return a row for each cell of the search, in grid order, over its complete trials.

    Columns: `cell`, `variant`, `is_control`, the searched parameters by path, `seeds`, `complete`,
    `pruned`, `failed`, and the mean and sample standard deviation (`std/...`) of every metric.
    """
    metrics = sorted({m for t in study.trials if t.state == "complete" for m in t.metrics})
    rows = [_cell_row(cell, study.paths, metrics) for cell in study.cells]
    return _frame(rows, list(range(len(rows))), None)


def _trial_row(trial: Trial, paths: Sequence[str], metrics: Iterable[str]) -> dict[str, Any]:
    return {
        "name": trial_name(trial.number, trial.params, trial.seed or 0),
        "state": trial.state,
        "role": trial.role,
        "seed": trial.seed,
        "variant": trial.variant,
        **_params(trial.params, paths),
        **{metric: trial.metrics.get(metric) for metric in metrics},
        "pruned_at": trial.pruned_at,
        "retry_of": trial.retry_of,
        "error": trial.error,
        "run_id": trial.run_id,
    }


def _cell_row(cell: Cell, paths: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "cell": cell.label,
        "variant": cell.variant,
        "is_control": cell.is_control,
        **_params(dict(cell.params), paths),
        "seeds": cell.num_seeds,
        **{state: cell.count(state) for state in ("complete", "pruned", "failed")},
        **{metric: cell.mean(metric) for metric in metrics},
        **{f"{DEVIATION}/{metric}": cell.deviation(metric) for metric in metrics},
    }


def _params(params: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    return {path: params.get(path) for path in paths}


def _frame(
    rows: Sequence[Mapping[str, Any]], index: Sequence[int], name: str | None
) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(rows, index=pd.Index(index, name=name, dtype="int64"))
