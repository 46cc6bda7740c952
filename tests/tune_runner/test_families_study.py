"""Diffusion and baselines in one study, with the real engine: a row for each, one record."""

import json

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from analysis.__main__ import main as analyse
from diffrec.__main__ import main as diffrec
from tune_runner.cli import main as tune
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.runner import run_study
from tune_runner.study.config import StudyConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = """
from search_spaces import Choice, Condition, SearchSpace
SPACE = SearchSpace(
    name="mixed", question="Does diffusion beat a linear model?",
    overrides={"training.max_epochs": 2, "training.eval_every": 2},
    domains={
        "variant": Choice(
            "DiffRec", "F-DiffRec", "Popularity", "EASE", "RecencyEASE", "DirectedRidge", "MultVAE"
        ),
        "training.learning_rate": Choice(1e-3),
        "half_life": Choice(3.0, 10.0),
    },
    conditions={
        "training.learning_rate": Condition("variant", ("DiffRec", "F-DiffRec", "MultVAE")),
        "half_life": Condition("variant", ("RecencyEASE",)),
    },
    control={"variant": "EASE"},
)
"""


def test_families_of_one_study_are_trained_recorded_and_shown_side_by_side(
    ray_local, tracking_uri, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mixed.py").write_text(SPACE)
    config = StudyConfig(space="mixed.py", name="mixed", request=ResourceRequest(max_concurrent=2))
    assert run_study(config) == 0
    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    runs = client.search_runs(
        [experiment], "tags.study = 'mixed' and tags.kind = 'trial'", max_results=20
    )
    logged = {
        run.data.tags["variant"] + run.data.params.get("half_life", ""): set(run.data.params)
        for run in runs
    }
    common = {"variant", "seed"}
    assert logged == {
        "DiffRec": common | {"training.learning_rate"},
        "F-DiffRec": common | {"training.learning_rate"},
        "MultVAE": common | {"training.learning_rate"},
        "DirectedRidge": common,
        "Popularity": common,
        "EASE": common,
        "RecencyEASE3.0": common | {"half_life"},
        "RecencyEASE10.0": common | {"half_life"},
    }
    for run in runs:  # two protocols, never mixed
        assert {"test/recall_at_20", "test_with_valid/recall_at_20"} <= set(run.data.metrics)
    ease = next(run for run in runs if run.data.tags["variant"] == "EASE")
    resolved = json.loads(
        client.download_artifacts(ease.info.run_id, "config.json", str(tmp_path))
        and (tmp_path / "config.json").read_text()
    )
    assert resolved == {"family": "ease", "seed": 1, "regularization": 100.0, "half_life": None}
    capsys.readouterr()
    assert analyse(["mixed"]) == 0
    shown = capsys.readouterr().out
    for label in ("DiffRec", "Popularity", "EASE", "RecencyEASE·10", "F-DiffRec", "DirectedRidge"):
        assert label in shown
    assert "* marks the control" in shown
    assert diffrec(["recommend", "--run", "mixed", "--users", "3", "-k", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    assert tune(["--resume", "mixed", "--register", "mixed", "--max-concurrent", "2"]) == 0
    shown = capsys.readouterr().out
    assert "registered models:/mixed/1: trial 0" in shown
    assert "no: It was not run on fresh seeds, so nothing shows that it is better than" in shown
    served = mlflow.pyfunc.load_model(client.get_model_version("mixed", "1").source)
    (items,) = served.predict(pd.DataFrame({"history": [[3, 1, 2]]}), params={"k": 4})["items"]
    assert diffrec(["recommend", "--run", "mixed", "--history", "3,1,2", "-k", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [f"history,{item},{rank}" for rank, item in enumerate(items, start=1)] == lines


CLUSTERED = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(
    name="clustered", question="Who looks for clusters?", variant="L-DiffRec",
    overrides={"training.max_epochs": 1, "training.eval_every": 1,
               "autoencoder.clustering": "agglomerative"},
    domains={"training.learning_rate": Choice(1e-3, 1e-4)},
    control={"training.learning_rate": 1e-3},
)
"""


def test_all_trials_of_a_study_share_what_clusters_were_found(
    ray_local, tracking_uri, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clustered.py").write_text(CLUSTERED)
    config = StudyConfig(space="clustered.py", name="clustered", seeds=2)
    assert run_study(config) == 0
    (clustering,) = (tmp_path / "runs/clustered/checkpoints/clusterings").iterdir()
    assert clustering.name.startswith("agglomerative-2-")  # of both seeds and rates, by any worker
