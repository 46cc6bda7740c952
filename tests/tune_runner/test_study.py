"""Whole studies on real Ray, Optuna and MLflow; only the training is fake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from fake_run import FakeEngine
from tune_runner.cli import main
from tune_runner.ledger import open_storage
from tune_runner.placement import Wish
from tune_runner.settings import StudyConfig
from tune_runner.study import run_study

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(
    name="fake", question="Does the service work?", variant="DiffRec",
    overrides={{"training.max_epochs": {epochs}, "training.eval_every": 1}},
    domains={domains},
)
"""


@pytest.fixture
def write_space(tmp_path, monkeypatch):
    """Write a space file into the working directory; return its path."""
    monkeypatch.chdir(tmp_path)

    def write(domains, epochs=8):
        path = tmp_path / "fake.py"
        path.write_text(SPACE.format(domains=domains, epochs=epochs))
        return str(path)

    return write


def optuna_trials(name):
    """Trials of a study in ./runs, by number."""
    storage = open_storage(f"journal://{Path('runs').resolve() / name / 'study.log'}")
    return optuna.load_study(study_name=name, storage=storage).trials


def mlflow_runs(uri, name):
    """The study's own run, and those of its trials by number."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    found = client.search_runs([experiment], f"tags.study = '{name}'", max_results=100)
    parents = [run for run in found if run.data.tags["kind"] == "study"]
    trials = {int(run.data.tags["trial_number"]): run for run in found if run not in parents}
    assert len(parents) == 1
    assert len(trials) + 1 == len(found), "a trial was recorded twice"
    return parents[0], trials, client


def test_a_hopeless_trial_is_stopped_early_and_never_scored(
    ray_local, tracking_uri, write_space, capsys
):
    space = write_space('{"training.learning_rate": Choice(0.9, 0.8, 0.7, 0.6, 0.5, 0.001)}')
    config = StudyConfig(space=space, name="pruned", pruner="median", wish=Wish(max_concurrent=1))
    assert run_study(config, engine=FakeEngine()) == 0
    *good, hopeless = optuna_trials("pruned")
    assert all(t.state is TrialState.COMPLETE and t.last_step == 8 for t in good)
    assert hopeless.state is TrialState.PRUNED
    assert 1 <= hopeless.last_step < 8
    assert list(hopeless.intermediate_values) == list(range(1, hopeless.last_step + 1))
    parent, runs, client = mlflow_runs(tracking_uri, "pruned")
    run = runs[hopeless.number]
    for number, kept in ((0, ["config.json", "weight_trajectory.json"]), (5, ["config.json"])):
        files = client.list_artifacts(runs[number].info.run_id)
        assert [file.path for file in files] == kept
    assert parent.data.tags["state"] == "complete"
    assert run.data.tags["state"] == "pruned"
    assert run.data.tags["pruned_at_epoch"] == str(hopeless.last_step)
    assert not any(key.startswith(("test/", "best/")) for key in run.data.metrics)
    assert runs[0].data.metrics["test/recall_at_20"] > 1
    history = client.get_metric_history(run.info.run_id, "valid/recall_at_20")
    assert {m.step: m.value for m in history} == hopeless.intermediate_values
    said = capsys.readouterr().out
    assert f"pruned at epoch {hopeless.last_step}" in said
    assert f"1 trials, at epochs {hopeless.last_step}" in said


def test_accidents_are_told_apart(ray_local, tracking_uri, write_space, tmp_path):
    space = write_space('{"training.weight_decay": Choice(0.0, 0.1, 0.2, 0.3)}')
    engine = FakeEngine(graves=str(tmp_path))
    assert run_study(StudyConfig(space=space, name="accidents"), engine=engine) == 0
    fine, nan, broken, killed = optuna_trials("accidents")
    assert [t.state for t in (fine, nan, broken, killed)] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.COMPLETE,
    ]
    assert nan.user_attrs["error"] == "the loss is not finite in epoch 3"
    assert broken.user_attrs["error"] == "RuntimeError: planted"
    assert list(killed.intermediate_values) == list(range(1, 9))
    _, runs, client = mlflow_runs(tracking_uri, "accidents")
    states = [runs[n].data.tags["state"] for n in range(4)]
    assert states == ["complete", "failed", "failed", "complete"]
    history = client.get_metric_history(runs[3].info.run_id, "train/loss")
    assert [m.step for m in history] == list(range(1, 9))


def stop_in_the_middle(space, name, mode, death):
    """Run a study as its own process, stop it in the middle of a trial; return code, out, err."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "drive.py"), space, name, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))},
    ) as driver:
        try:
            for line in driver.stdout:
                if "complete  valid" in line:
                    break
            time.sleep(1.5)
            driver.send_signal(death)
            out, err = driver.communicate(timeout=60)
        finally:
            driver.kill()
    return driver.returncode, out, err


def test_a_study_killed_and_interrupted_goes_on_where_it_was(
    ray_local, tracking_uri, write_space, capsys
):
    name = "stopped"
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6, 0.7, 0.8)}', epochs=12)
    stop_in_the_middle(space, name, "new", signal.SIGKILL)
    killed = optuna_trials(name)
    states = [t.state for t in killed]
    assert states[:2] == [TrialState.COMPLETE, TrialState.RUNNING]
    code, out, err = stop_in_the_middle(space, name, "resume", signal.SIGINT)
    assert code == 130, err
    assert "Traceback" not in err
    assert out.splitlines()[-1].endswith(f"python -m tune_runner --resume {name}")
    stopped = optuna_trials(name)
    states = [t.state for t in stopped]
    assert states[:3] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING]
    assert mlflow_runs(tracking_uri, name)[0].data.tags["state"] == "interrupted"
    assert run_study(StudyConfig(space=space, name=name), resume=True, engine=FakeEngine()) == 0
    trials = optuna_trials(name)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 4
    assert trials[0].datetime_complete == killed[0].datetime_complete
    assert trials[1].datetime_complete == stopped[1].datetime_complete
    assert all(list(t.intermediate_values) == list(range(1, 13)) for t in trials)
    parent, runs, client = mlflow_runs(tracking_uri, name)
    assert parent.data.tags["state"] == "complete"
    for run in runs.values():
        assert run.data.tags["state"] == "complete"
        history = client.get_metric_history(run.info.run_id, "train/loss")
        assert [m.step for m in history] == list(range(1, 13))
    assert main(["--space", space, "--name", name]) == 2
    assert "go on with --resume" in capsys.readouterr().err
