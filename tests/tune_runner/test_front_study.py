"""Whole studies with several objectives on real Ray, Optuna and MLflow; only training is fake."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from fake_run import FakeBackend
from tune_runner.cli.main import main
from tune_runner.runner import run_study
from tune_runner.study.config import RunLimits, StudyConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = """
from search_spaces import Choice, Objective, SearchSpace
SPACE = SearchSpace(
    name="fake", question="What does coverage cost?", variant="DiffRec",
    overrides={{"training.max_epochs": 3, "training.eval_every": 1}},
    domains={{"training.learning_rate": Choice(0.9, 0.1, 0.8, 0.5)}}, replicates=2,
    {goals}
)
"""


def run(tmp_path, monkeypatch, name, goals, **settings):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fake.py").write_text(SPACE.format(goals=goals))
    config = StudyConfig(space=str(tmp_path / "fake.py"), name=name, **settings)
    return run_study(config, backend=FakeBackend()), config


def fronts(uri, name):
    """The `front` tag of each trial by its number, and the study's tags."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    found = client.search_runs([experiment], f"tags.study = '{name}'", max_results=100)
    trials = [r.data for r in found if r.data.tags["kind"] == "trial"]
    study = next(r.data for r in found if r.data.tags["kind"] == "study")
    return {int(t.tags["trial_number"]): t.tags.get("front") for t in trials}, study.tags


def test_a_front_within_a_bound_is_kept_shown_and_tagged(
    ray_local, tracking_uri, tmp_path, monkeypatch, capsys
):
    goals = (
        "objectives=(Objective('valid/recall@20'), Objective('valid/coverage@20')), "
        "constraint='valid/ndcg@20 within 20 % of the best',"
    )
    limits = RunLimits(trials=3)
    code, config = run(tmp_path, monkeypatch, "fronts", goals, limits=limits)
    assert code == 0  # three trials were asked for
    config = replace(config, limits=RunLimits())
    assert run_study(config, resume=True, backend=FakeBackend()) == 0
    capsys.readouterr()
    assert main(["--status", "fronts", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [point["number"] for point in answer["front"]] == [0, 2]
    assert [one["name"] for one in answer["objectives"]] == ["valid/recall@20", "valid/coverage@20"]
    assert answer["best"]["number"] == 0
    assert main(["--status", "fronts"]) == 0
    text = capsys.readouterr().out
    assert text.count("\nfront     ") == 2
    assert "within    valid/ndcg@20 within 20 % of the best" in text
    kept = sorted(path.name for path in Path("runs/fronts/checkpoints").iterdir())
    assert kept == ["trial_0000", "trial_0002"]
    tags, study = fronts(tracking_uri, "fronts")
    assert {n for n, mark in tags.items() if mark == "true"} == {0, 2, 4, 6}
    assert {n for n, mark in tags.items() if mark == "false"} == {1, 3, 5, 7}
    assert [one["name"] for one in json.loads(study["objectives"])] == [
        "valid/recall@20",
        "valid/coverage@20",
    ]
    assert study["best_trial"].startswith("0000")


def test_a_trial_without_a_metric_that_decides_has_failed(
    ray_local, tracking_uri, tmp_path, monkeypatch, capsys
):
    goals = "objectives=(Objective('valid/recall@20'), Objective('valid/novelty@20')),"
    code, _ = run(tmp_path, monkeypatch, "lacking", goals, trials=1)
    assert code == 1
    assert "valid/novelty@20 is not a number (None) after epoch 3" in capsys.readouterr().out
