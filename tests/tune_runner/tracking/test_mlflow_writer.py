"""What MLflow holds after the writer: names, states, and nothing twice."""

import json
import math
import time

import pytest
from mlflow.tracking import MlflowClient

from analysis.study.mlflow_reader import read_study
from tune_runner import schema
from tune_runner.tracking.mlflow_writer import MlflowWriter


def message(kind, trial=0, **content):
    """A message, as the tracker makes them."""
    return {"what": kind, "time": time.time(), "trial": trial, **content}


def whole_study():
    """Messages of a study with a complete, a pruned, a failed and an open trial."""
    epochs = {"1": {"train/loss": 2.0}, "2": {"train/loss": 1.0, "valid/recall@20": 0.3}}
    tags = {"kind": "study", "study": "s", "command": "x" * 10_000}
    messages = [message("study", tags=tags, artifacts={"space.json": {}})]
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
        writer = MlflowWriter(mlflow_database, study, study)
        writer.apply(messages)
        writer.apply(messages)
    messages[0]["tags"]["study"] = "s"
    MlflowWriter(mlflow_database, "s", "s").apply(messages)
    client = MlflowClient(mlflow_database)
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    environment = client.search_runs([experiment], "tags.study = 's'", max_results=100)
    assert len(environment) == 5
    numbered = {run.data.tags.get("trial_number"): run for run in environment}
    return client, numbered


def test_children_hang_under_the_study_with_their_states(runs):
    _, by_number = runs
    parent = by_number[None]
    assert parent.data.tags["state"] == "interrupted"
    assert parent.data.tags["command"] == "x" * 4000  # PostgreSQL refuses more than 8,000
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
    artifacts = {
        state: [file.path for file in client.list_artifacts(by_number[number].info.run_id)]
        for state, number in (("complete", "0"), ("failed", "2"))
    }
    assert artifacts == {
        "complete": ["config.json", "weight_trajectory.json"],
        "failed": ["config.json"],
    }
    path = client.download_artifacts(by_number["0"].info.run_id, "weight_trajectory.json")
    with open(path) as file:  # noqa: PTH123
        assert json.load(file) == {"epochs": [0, 5]}


@pytest.fixture
def torn(mlflow_database, request):
    """A study of one trial, as one driver after another writes it: `tell(*messages)`."""
    study = request.node.name

    def tell(*messages):
        MlflowWriter(mlflow_database, study, study).apply(list(messages))
        client = MlflowClient(mlflow_database)
        experiment = client.get_experiment_by_name("diffrec").experiment_id
        condition = f"tags.study = '{study}' and tags.kind = 'trial'"
        return client, client.search_runs([experiment], condition)

    tell(message("study", tags={"kind": "study", "study": study}, artifacts={}))
    return tell


START = {"name": "n", "params": {"seed": 1}, "config": {"a": 1}, "variant": "V", "retry_of": None}


def test_a_start_that_was_cut_off_is_completed(torn, mlflow_database, monkeypatch):
    def away(*args, **kwargs):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", away)
        with pytest.raises(ConnectionError):
            torn(message("start", **START))
    client, (run,) = torn(message("start", **START))
    assert run.data.params == {"seed": "1"}
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["config.json"]


def test_an_end_that_is_told_again_by_another_driver_changes_nothing(torn):
    end = {"state": "complete", "epoch": 2, "metrics": {"test/recall@20": 0.25}, "error": None}
    torn(message("start", **START), message("end", **end))
    client, (run,) = torn(message("start", **START), message("end", **end))
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "test/recall_at_20")) == 1


def test_an_environment_that_a_study_goes_on_in_does_not_replace_the_first(torn, mlflow_database):
    name = "test_an_environment_that_a_study_goes_on_in_does_not_replace_the_first"

    def messages(cpus):
        tags = {"kind": "study", "study": name}
        return message("study", tags=tags, artifacts={"environment.json": {"cpus": cpus}})

    for cpus in (2, 2, 4, 4, 2):
        client, _ = torn(messages(cpus))
    assert [environment["cpus"] for environment in read_study(client, name).environments] == [
        2,
        4,
        2,
    ]


def test_a_study_of_the_same_name_elsewhere_is_another_study(mlflow_database, capsys):
    name = "test_a_study_of_the_same_name_elsewhere_is_another_study"
    for identity, value in (("one", 0.5), ("two", 0.1)):
        writer = MlflowWriter(mlflow_database, name, identity)
        tags = {"kind": "study", "study": name}
        metrics = {"test/recall@20": value}
        end = {"state": "complete", "epoch": 2, "metrics": metrics, "error": None}
        messages = [message("study", tags=tags, artifacts={}), message("start", **START)]
        for _ in range(2):
            writer.apply([*messages, message("end", **end)])
    client = MlflowClient(mlflow_database)
    for identity, value in (("one", 0.5), ("two", 0.1)):
        (trial,) = read_study(client, name, identity).trials
        assert trial.metrics["test/recall@20"] == value
    assert "MLflow has" not in capsys.readouterr().err
    (newest,) = read_study(client, name).trials
    assert newest.metrics["test/recall@20"] == 0.1
    assert f"MLflow has 2 studies named {name}" in capsys.readouterr().err


def test_it_is_known_when_a_driver_was_at_work(torn, mlflow_database):
    name = "test_it_is_known_when_a_driver_was_at_work"
    tags = {"kind": "study", "study": name}

    def at(time, kind, **content):
        return {**message(kind, **content), "time": time}

    for start, end in ((100.0, 200.0), (500.0, None), (900.0, 950.0)):
        messages = [at(start, "study", tags=tags, artifacts={})]
        if end is not None:  # else it was killed
            messages.append(at(end, "close", state="interrupted"))
        for _ in range(2):
            client, _ = torn(*messages)
    first, second, third = read_study(client, name).sessions[1:]  # the fixture's own comes first
    assert (first, third) == ((100.0, 200.0), (900.0, 950.0))
    assert second[0] == 500.0
    assert math.isnan(second[1])


def test_sessions_never_outgrow_their_tag(torn):
    name = "test_sessions_never_outgrow_their_tag"
    tags = {"kind": "study", "study": name}
    first = 2_000_000_000

    def session(number):
        start = first + 10 * number
        begin = {**message("study", tags=tags, artifacts={}), "time": start + 0.5}
        return torn(begin, {**message("close", state="interrupted"), "time": start + 5.5})[0]

    client = session(0)
    (parent,) = client.search_runs(["1"], f"tags.study = '{name}'")
    recorded = [[first + 10 * i, first + 10 * i + 6] for i in range(99)]
    client.set_tag(parent.info.run_id, schema.SESSIONS, json.dumps(recorded))
    for number in range(99, 103):
        session(number)
    sessions = read_study(client, name).sessions
    assert len(sessions) == 100
    assert sessions[0] == (first, first + 36)  # the oldest four are merged
    assert sessions[-1] == (first + 1020, first + 1026)


def test_every_commit_that_had_a_hand_in_it_is_named_once_the_first_one_first(torn):
    def study(commit):
        tags = {"kind": "study", "study": name, "git_commit": commit, "command": f"by {commit}"}
        return message("study", tags=tags, artifacts={})

    name = "test_every_commit_that_had_a_hand_in_it_is_named_once_the_first_one_first"
    torn(study("b1"), message("start", 0, **START, commit="b1"))
    for _ in range(2):  # another driver continues it, from newer code
        resumed = message("start", 0, **START, commit="a2")
        client, runs = torn(study("a2"), resumed, message("start", 1, **START, commit="a2"))
    commits = {run.data.tags["trial_number"]: run.data.tags["git_commit"] for run in runs}
    assert commits == {"0": "b1, a2", "1": "a2"}
    parent = client.get_run(runs[0].data.tags["mlflow.parentRunId"])
    assert parent.data.tags["git_commit"] == "b1, a2"
    assert parent.data.tags["command"] == "by b1"  # not that of --resume


def test_a_trial_that_gets_through_after_all_has_no_error(torn):
    failed = {"state": "failed", "epoch": 2, "metrics": {}, "error": "why"}
    complete = {"state": "complete", "epoch": 2, "metrics": {}, "error": None}
    torn(message("start", **START), message("end", **failed))
    _, (run,) = torn(message("start", **START), message("end", **complete))
    assert run.data.tags["state"] == "complete"
    assert "error" not in run.data.tags


def test_a_long_history_is_cut_between_epochs(torn, monkeypatch):
    """A driver that dies between two requests must not leave an epoch that is half there."""
    monkeypatch.setattr("tune_runner.tracking.mlflow_writer._BATCH", 5)
    sent = []
    log_batch = MlflowClient.log_batch

    def watched(self, run_id, metrics=(), **rest):
        sent.append([metric.step for metric in metrics])
        log_batch(self, run_id, metrics=metrics, **rest)

    monkeypatch.setattr(MlflowClient, "log_batch", watched)
    epochs = {str(e): {"train/loss": 1.0, "valid/recall@20": 0.1} for e in (1, 2, 3)}
    torn(message("start", **START), message("metrics", epochs=epochs))
    assert [steps for steps in sent if steps] == [[1, 1, 2, 2], [3, 3]]


def test_a_run_that_a_slow_server_made_twice_is_removed_in_the_end(torn):
    client, (run,) = torn(message("start", **START))
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.u")}
    client.create_run(run.info.experiment_id, run.info.start_time, tags=tags)
    epochs = {"1": {"train/loss": 1.0}}
    _, runs = torn(message("metrics", epochs=epochs))
    assert len(runs) == 2
    _, runs = torn(message("close", state="interrupted"))
    assert [run.data.metrics["train/loss"] for run in runs] == [1.0]
