"""From an MLflow run to recommendations: the trial's own checkpoint, or its study's best."""

import json
import shutil

import pytest
import torch
from mlflow.tracking import MlflowClient

from diffrec.__main__ import main
from diffrec.data import load_dataset
from diffrec.training.checkpoint import load_checkpoint
from servers import s3
from tune_runner import schema
from tune_runner.checkpoints.locations import join_location, trial_location
from tune_runner.checkpoints.store import CheckpointStore
from tune_runner.study.folder import StudyFolder


@pytest.fixture
def study(tmp_path, tracking_uri):
    """A finished study of two trials, the second kept; returns ids by kind and the model's file."""
    assert (
        main(["train", "--variant", "EASE", "--dataset", "embedded", "--out", f"{tmp_path}/m"]) == 0
    )
    trained = load_checkpoint(tmp_path / "m" / "model.pt")
    folder = StudyFolder(tmp_path / "runs", "kept")
    trial_folder = folder.checkpoints / "trial_0001"
    trial_folder.mkdir(parents=True)
    state = {"run": {"config": trained.config.to_dict(), "best_state": trained.state}}
    torch.save(state, trial_folder / "state.pt")
    folder.write({"settings": {"data_dir": None}})
    client = MlflowClient(tracking_uri)
    mlflow_experiment = client.get_experiment_by_name(schema.EXPERIMENT)
    experiment = (
        mlflow_experiment.experiment_id
        if mlflow_experiment
        else client.create_experiment(schema.EXPERIMENT)
    )
    tags = {
        schema.KIND: "study",
        schema.STUDY: tmp_path.name,
        schema.FOLDER: str(folder.path),
        "dataset": "embedded",
        "dataset_sha256": load_dataset("embedded").sha256,
        "protocol": "published",
    }
    ids = {"study": client.create_run(experiment, tags=tags).info.run_id}
    for number in (0, 1):
        tags = {
            schema.KIND: "trial",
            schema.PARENT: ids["study"],
            schema.TRIAL_NUMBER: str(number),
        }
        ids[f"trial {number}"] = client.create_run(experiment, tags=tags).info.run_id
    ids["name"] = tmp_path.name
    ids["foreign"] = client.create_run(experiment).info.run_id
    return ids, tmp_path / "m", folder


@pytest.mark.parametrize("kind", ["study", "name", "trial 1"])
def test_a_run_answers_and_scores_like_the_model_it_kept(kind, study, capsys):
    ids, model, _ = study
    capsys.readouterr()
    answers = []
    for source in (["--run", ids[kind]], ["--checkpoint", str(model)]):
        assert main(["recommend", *source, "--users", "7", "-k", "5"]) == 0
        assert main(["evaluate", *source, "--json"]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert json.loads(answers[0][answers[0].index("{") :])["test/recall@20"] > 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("trial 0", "checkpoint of trial 0000 was not kept"),
        ("foreign", "no trial or study of ours"),
        ("unknown id", "MLflow has no run"),
        ("unknown name", "MLflow has no run or study 'name of none'"),
    ],
)
def test_a_run_without_a_model_is_one_sentence(kind, words, study, capsys):
    ids = study[0] | {"unknown id": "0" * 32, "unknown name": "name of none"}
    capsys.readouterr()
    assert main(["recommend", "--run", ids[kind]]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_study_that_still_runs_does_not_say_which_trial_is_meant(study, capsys):
    ids, _, folder = study
    other = folder.checkpoints / "trial_0000"
    other.mkdir()
    (other / "state.pt").touch()
    assert main(["evaluate", "--run", ids["study"]]) == 2
    assert "has 2 checkpoints" in capsys.readouterr().err
    shutil.rmtree(folder.checkpoints)
    assert main(["evaluate", "--run", ids["study"]]) == 2
    assert "has no trained model" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["study", "trial 1"])
def test_a_model_in_an_object_store_is_brought_here(kind, study, capsys, monkeypatch):
    ids, _, folder = study
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with s3() as url:
        store = CheckpointStore(trial_location(join_location(url, folder.path.name), 1))
        path = folder.checkpoints / "trial_0001" / "state.pt"
        state = path.read_bytes()
        store.save(lambda file: file.write(state), store.claim())
        shutil.rmtree(path.parent)
        folder.write({"settings": {"data_dir": None, "checkpoints": url}})
        assert main(["recommend", "--run", ids[kind], "--users", "7", "-k", "5"]) == 0
        assert path.read_bytes() == state
        assert main(["evaluate", "--run", ids["trial 0"]]) == 2
        assert f"was not kept in {join_location(url, folder.path.name)}" in capsys.readouterr().err
    assert main(["evaluate", "--run", ids[kind]]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_without_a_database_nothing_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["recommend", "--run", "abc"]) == 2
    assert "No MLflow database" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
