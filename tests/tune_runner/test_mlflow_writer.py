"""What MLflow holds after the writer: names, states, and nothing twice."""

import json
import time

import pytest
from mlflow.tracking import MlflowClient

from tune_runner.mlflow_writer import MlflowWriter


def message(what, trial=0, **content):
    """A message, as the tracker makes them."""
    return {"what": what, "time": time.time(), "trial": trial, **content}


def whole_study():
    """Messages of a study with a complete, a pruned, a failed and an open trial."""
    epochs = {"1": {"train/loss": 2.0}, "2": {"train/loss": 1.0, "valid/recall@20": 0.3}}
    messages = [
        message("study", tags={"kind": "study", "study": "s"}, artifacts={"space.json": {}})
    ]
    for trial in range(4):
        start = {"name": f"000{trial}", "params": {"seed": 1, "x.y": [1, 2]}, "config": {"a": 1}}
        messages += [
            message("start", trial, variant="DiffRec", retry_of=None, **start),
            message("metrics", trial, epochs=epochs),
        ]
    test = {"test/recall@20": 0.25}
    ends = [("complete", test, None), ("pruned", {}, None), ("failed", {}, "ValueError: x")]
    for trial, (state, metrics, error) in enumerate(ends):
        end = {"state": state, "epoch": 2, "metrics": metrics, "error": error}
        if state == "complete":  # an outbox of an older version says nothing of artifacts
            end["artifacts"] = {"weight_trajectory.json": {"epochs": [0, 5]}}
        messages.append(message("end", trial, **end))
    return [*messages, message("close", state="interrupted")]


@pytest.fixture(scope="module")
def runs(mlflow_database):
    """Runs by trial number (None: the study), after everything was sent three times."""
    messages = whole_study()
    for study in ("s", "other"):
        for message in messages[:1]:
            message["tags"]["study"] = study
        writer = MlflowWriter(mlflow_database, study)
        writer.apply(messages)
        writer.apply(messages)
    messages[0]["tags"]["study"] = "s"
    MlflowWriter(mlflow_database, "s").apply(messages)
    client = MlflowClient(mlflow_database)
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    found = client.search_runs([experiment], "tags.study = 's'", max_results=100)
    assert len(found) == 5
    numbered = {run.data.tags.get("trial_number"): run for run in found}
    return client, numbered


def test_children_hang_under_the_study_with_their_states(runs):
    _, by_number = runs
    parent = by_number[None]
    assert parent.data.tags["state"] == "interrupted"
    children = [by_number[str(n)] for n in range(4)]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    assert [c.data.tags["state"] for c in children] == ["complete", "pruned", "failed", "running"]
    assert [c.info.status for c in children] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]
    assert children[1].data.tags["pruned_at_epoch"] == "2"
    assert children[2].data.tags["error"] == "ValueError: x"


def test_metrics_have_their_epochs_once_and_mlflows_spelling(runs):
    client, by_number = runs
    run = by_number["0"]
    assert run.data.metrics["valid/recall_at_20"] == 0.3
    assert run.data.metrics["test/recall_at_20"] == 0.25
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value) for m in history] == [(1, 2.0), (2, 1.0)]
    assert not any(key.startswith("test/") for key in by_number["1"].data.metrics)


def test_parameters_are_the_searched_ones_and_the_rest_is_an_artifact(runs):
    client, by_number = runs
    run = by_number["0"]
    assert run.data.params == {"seed": "1", "x.y": "[1, 2]"}
    path = client.download_artifacts(run.info.run_id, "config.json")
    with open(path) as file:  # noqa: PTH123
        assert json.load(file) == {"a": 1}


def test_what_a_trial_leaves_at_its_end_is_an_artifact(runs):
    client, by_number = runs
    kept = {
        state: [file.path for file in client.list_artifacts(by_number[number].info.run_id)]
        for state, number in (("complete", "0"), ("failed", "2"))
    }
    assert kept == {
        "complete": ["config.json", "weight_trajectory.json"],
        "failed": ["config.json"],
    }
    path = client.download_artifacts(by_number["0"].info.run_id, "weight_trajectory.json")
    with open(path) as file:  # noqa: PTH123
        assert json.load(file) == {"epochs": [0, 5]}
