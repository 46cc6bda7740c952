"""docs/examples/read_a_study.py: a study as a DataFrame, with nothing but MLflow."""

import runpy
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "read_a_study.py"


def test_the_example_shows_the_mean_of_every_cell_best_first(store, monkeypatch, capsys):
    parent = store.study("mine")
    for seed, value in enumerate((0.1, 0.2), start=1):
        for number, (method, more) in enumerate((("kmeans", 0.0), ("gaussian_mixture", 0.1))):
            params = store.params(method, 2, seed)
            metrics = {"best": value, "test": value + more, "study": "mine"}
            store.trial(parent, 10 * seed + number, params, **metrics)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "mine"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["gaussian_mixture", "kmeans"]
    assert [(row[2], row[4]) for row in rows] == [("0.25", "2"), ("0.15", "2")]
