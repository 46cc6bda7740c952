"""Read a study from MLflow into a DataFrame: `python docs/examples/read_a_study.py STUDY`.

Prints the mean and standard deviation of test recall@20 over the seeds of every cell, best first.
It works on any machine that reaches the record (`MLFLOW_TRACKING_URI`).
"""

import sys

import mlflow
import pandas as pd

from tune_runner.tracking_uri import default_tracking_uri

METRIC = "metrics.test/recall_at_20"


def trials_of(study: str) -> pd.DataFrame:
    """Return the complete trials of a study, a row each."""
    mlflow.set_tracking_uri(default_tracking_uri())
    found = mlflow.search_runs(
        experiment_names=["diffrec"],
        filter_string=f"tags.study = '{study}' and tags.kind = 'trial' and tags.state = 'complete'",
    )
    assert isinstance(found, pd.DataFrame)
    return found


def table(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the mean, deviation and number of seeds of every cell."""
    searched = sorted(c for c in trials if c.startswith("params.") and c != "params.seed")
    cells = trials.groupby(searched, dropna=False)[METRIC].agg(["mean", "std", "count"])
    return cells.reset_index().sort_values(by=["mean"], ascending=False)


if __name__ == "__main__":
    sys.stdout.write(table(trials_of(sys.argv[1])).to_string(index=False) + "\n")
