"""Whole studies on real Ray, Optuna and MLflow; only the training is fake."""

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pytest
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from diffrec.errors import UserError
from driver import start_driver
from fake_run import FakeBackend
from faults import Harm, Watch
from servers import s3, wait_until
from tune_runner.checkpoints.locations import join_location
from tune_runner.checkpoints.store import list_trials
from tune_runner.cli.main import main
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.runner import run_study
from tune_runner.search.storage import read_storage
from tune_runner.study.config import RunLimits, StudyConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def optuna_trials(name):
    """Trials of a study in ./runs, by number."""
    storage = read_storage(f"journal://{Path('runs').resolve() / name / 'study.log'}")
    return optuna.load_study(study_name=name, storage=storage).trials


def mlflow_runs(uri, name):
    """The study's own run, and those of its trials by number."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    found = client.search_runs([experiment], f"tags.study = '{name}'", max_results=100)
    parents = [run for run in found if run.data.tags["kind"] == "study"]
    own = [run for run in found if run.data.tags["kind"] == "trial"]
    trials = {int(run.data.tags["trial_number"]): run for run in own}
    assert len(parents) == 1
    assert len(trials) == len(own), "a trial was recorded twice"
    return parents[0], trials, client


def test_a_hopeless_trial_is_stopped_early_and_never_scored(
    ray_local, tracking_uri, write_space, capsys
):
    space = write_space('{"training.learning_rate": Choice(0.9, 0.8, 0.7, 0.6, 0.5, 0.001)}')
    config = StudyConfig(
        space=space, name="pruned", pruner="median", request=ResourceRequest(max_concurrent=1)
    )
    assert run_study(config, backend=FakeBackend()) == 0
    *good, hopeless = optuna_trials("pruned")
    assert all(t.state is TrialState.COMPLETE and t.last_step == 8 for t in good)
    assert hopeless.state is TrialState.PRUNED
    assert 1 <= hopeless.last_step < 8
    assert list(hopeless.intermediate_values) == list(range(1, hopeless.last_step + 1))
    parent, runs, client = mlflow_runs(tracking_uri, "pruned")
    run = runs[hopeless.number]
    for number, artifacts in ((0, ["config.json", "weight_trajectory.json"]), (5, ["config.json"])):
        files = client.list_artifacts(runs[number].info.run_id)
        assert [file.path for file in files] == artifacts
    assert parent.data.tags["state"] == "complete"
    assert run.data.tags["state"] == "pruned"
    assert run.data.tags["pruned_at_epoch"] == str(hopeless.last_step)
    assert not any(key.startswith(("test/", "best/")) for key in run.data.metrics)
    assert runs[0].data.metrics["test/recall_at_20"] > 1
    history = client.get_metric_history(run.info.run_id, "valid/recall_at_20")
    assert {m.step: m.value for m in history} == hopeless.intermediate_values
    output = capsys.readouterr().out
    assert f"pruned at epoch {hopeless.last_step}" in output
    assert f"1 trials, at epochs {hopeless.last_step}" in output


def test_accidents_are_told_apart(ray_local, tracking_uri, write_space, tmp_path):
    space = write_space('{"training.weight_decay": Choice(0.0, 0.1, 0.2, 0.3, 0.4, 0.5)}')
    backend = FakeBackend(graves=str(tmp_path))
    assert run_study(StudyConfig(space=space, name="accidents"), backend=backend) == 0
    _fine, nan, broken, killed, _starved, insatiable = optuna_trials("accidents")
    assert [t.state for t in optuna_trials("accidents")] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.COMPLETE,
        TrialState.COMPLETE,  # with both CPUs, the second time
        TrialState.FAIL,
    ]
    assert nan.user_attrs["error"] == "the loss is not finite in epoch 3"
    assert broken.user_attrs["error"] == "RuntimeError: planted"
    assert insatiable.user_attrs["error"] == "MemoryError: no message"
    assert Watch("accidents", tracking_uri).harm() == Harm()
    assert list(killed.intermediate_values) == list(range(1, 9))
    _, runs, client = mlflow_runs(tracking_uri, "accidents")
    states = [runs[n].data.tags["state"] for n in range(6)]
    assert states == ["complete", "failed", "failed", "complete", "complete", "failed"]
    history = client.get_metric_history(runs[3].info.run_id, "train/loss")
    assert [m.step for m in history] == list(range(1, 9))


def stop_in_the_middle(config, cluster, signal_number, *, resume):
    """Run a study as its own process, stop it in the middle of a trial; return code and words."""
    output_file = Path("driver.out")
    output_file.unlink(missing_ok=True)
    driver = start_driver(config, FakeBackend(seconds=0.3), cluster.address, resume=resume)
    wait_until(lambda: output_file.exists() and "complete  valid" in output_file.read_text())
    wait_until(lambda: status_of_running(config.name) >= 2)
    os.kill(driver.pid, signal_number)
    driver.join(60)
    return driver.exitcode, output_file.read_text()


def status_of_running(name):
    """Epochs of the trial that runs."""
    running = [t for t in optuna_trials(name) if t.state is TrialState.RUNNING]
    return running[0].last_step or 0 if running else 0


def test_a_study_killed_and_interrupted_goes_on_where_it_was(
    ray_cluster, tracking_uri, write_space, capsys
):
    name = "stopped"
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6, 0.7, 0.8)}', epochs=12)
    config = StudyConfig(space=space, name=name, request=ResourceRequest(max_concurrent=1))
    stop_in_the_middle(config, ray_cluster, signal.SIGKILL, resume=False)
    killed = optuna_trials(name)
    states = [t.state for t in killed]
    assert states[:2] == [TrialState.COMPLETE, TrialState.RUNNING]
    code, output = stop_in_the_middle(config, ray_cluster, signal.SIGINT, resume=True)
    assert code == 130, output
    assert "Traceback" not in output
    assert output.splitlines()[-1].endswith(f"python -m tune_runner --resume {name}")
    stopped = optuna_trials(name)
    states = [t.state for t in stopped]
    assert states[:3] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING]
    assert mlflow_runs(tracking_uri, name)[0].data.tags["state"] == "interrupted"
    assert run_study(StudyConfig(space=space, name=name), resume=True, backend=FakeBackend()) == 0
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
    assert "resume it with: python -m tune_runner --resume" in capsys.readouterr().err


def test_a_killed_study_goes_on_from_an_object_store(ray_cluster, tracking_uri, write_space):
    name = "stored"
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6, 0.7)}', epochs=12)
    with s3() as url:
        config = StudyConfig(
            space=space, name=name, checkpoints=url, request=ResourceRequest(max_concurrent=1)
        )
        stop_in_the_middle(config, ray_cluster, signal.SIGKILL, resume=False)
        running = optuna_trials(name)[1]
        done = running.last_step
        assert running.state is TrialState.RUNNING
        assert {1} <= list_trials(join_location(url, name)) <= {0, 1}
        with pytest.raises(UserError, match="resume it with: python -m tune_runner --resume"):
            run_study(config, backend=FakeBackend())
        assert run_study(config, resume=True, backend=FakeBackend()) == 0
        trials = optuna_trials(name)
        assert [t.state for t in trials] == [TrialState.COMPLETE] * 3
        # Each epoch was trained once, those before the kill by the worker that was killed.
        assert list(trials[1].intermediate_values) == list(range(1, 13))
        assert [s for s, _ in trials[1].intermediate_values.items()][:done] == list(
            range(1, done + 1)
        )
        (best,) = list_trials(join_location(url, name))
        assert trials[best].value == max(t.value for t in trials)
        assert not any((Path("runs") / name / "checkpoints").iterdir())
        with pytest.raises(UserError, match="checkpoints of another study"):
            run_study(replace(config, runs_dir="elsewhere"), backend=FakeBackend())


@pytest.fixture
def command(monkeypatch):
    """The command line over fake runs: `command(engine, *arguments)`."""

    def run(backend, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr("tune_runner.runner.run_study", partial(run_study, backend=backend))
            return main(list(arguments))

    return run


def test_failed_trials_are_retried_and_trials_are_added_on_request(
    ray_local, tracking_uri, write_space, command
):
    space = write_space('{"training.weight_decay": Choice(0.0, 0.2)}')
    assert command(FakeBackend(), "--space", space, "--name", "more") == 0
    before = optuna_trials("more")
    assert [t.state for t in before] == [TrialState.COMPLETE, TrialState.FAIL]
    parent, runs, _ = mlflow_runs(tracking_uri, "more")

    arguments = ("--resume", "more", "--add-trials", "1", "--retry-failed")
    assert command(FakeBackend(healthy=True), *arguments) == 0
    trials = optuna_trials("more")
    assert [(t.state, t.datetime_complete) for t in trials[:2]] == [
        (t.state, t.datetime_complete) for t in before
    ]
    assert [(t.user_attrs["seed"], t.user_attrs.get("retry_of")) for t in trials[2:]] == [
        (2, None),
        (1, 1),
    ]
    assert all(t.state is TrialState.COMPLETE for t in trials[2:])
    same_parent, more_runs, _ = mlflow_runs(tracking_uri, "more")
    assert same_parent.info.run_id == parent.info.run_id
    assert all(more_runs[n].info.run_id == run.info.run_id for n, run in runs.items())
    assert more_runs[3].data.tags["retry_of"] == "1"
    assert len(more_runs) == 4
    assert Watch("more", tracking_uri).harm() == Harm()


def write_data(folder, items):
    """A dataset of three users."""
    folder.mkdir(exist_ok=True)
    for part, item in (("train", 0), ("valid", 1), ("test", 2)):
        pairs = [[user, (user + item) % items] for user in range(3)]
        np.save(folder / f"{part}_list.npy", np.array(pairs))


def test_a_study_whose_space_or_data_changed_is_refused_with_the_difference(
    ray_local, tracking_uri, write_space, command, tmp_path, capsys
):
    write_data(tmp_path / "own", items=4)
    space = write_space('{"training.learning_rate": Choice(0.5)}')
    arguments = ("--dataset", "own", "--data-dir", str(tmp_path))
    assert command(FakeBackend(), "--space", space, "--name", "same", *arguments) == 0
    write_space('{"training.learning_rate": Choice(0.5, 0.6)}')
    assert command(FakeBackend(), "--resume", "same") == 2
    output = capsys.readouterr().err
    assert "is another one: space.domains.training.learning_rate" in output
    assert "[0.5], is [0.5, 0.6]" in output
    write_space('{"training.learning_rate": Choice(0.5)}')
    write_data(tmp_path / "own", items=5)
    assert command(FakeBackend(), "--resume", "same") == 2
    assert "is another one: dataset.sha256 was" in capsys.readouterr().err
    write_data(tmp_path / "own", items=4)
    assert command(FakeBackend(), "--resume", "same") == 0


def test_a_budget_stops_the_command_and_not_the_study(ray_local, tracking_uri, write_space, capsys):
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6, 0.7, 0.8)}', epochs=20)
    one = StudyConfig(
        space=space,
        name="budget",
        limits=RunLimits(trials=1),
        request=ResourceRequest(max_concurrent=1),
    )
    assert run_study(one, backend=FakeBackend()) == 0
    assert "the budget of trials is spent; resume with" in capsys.readouterr().out
    states = [t.state for t in optuna_trials("budget")]
    assert states == [TrialState.COMPLETE] + [TrialState.WAITING] * 3

    brief = replace(one, limits=RunLimits(hours=2 / 3600))
    assert run_study(brief, resume=True, backend=FakeBackend(seconds=0.5)) == 0
    assert "hours is spent; resume with" in capsys.readouterr().out
    trials = optuna_trials("budget")
    assert trials[1].state is TrialState.RUNNING

    unlimited = replace(one, limits=RunLimits())
    assert run_study(unlimited, resume=True, backend=FakeBackend()) == 0
    trials = optuna_trials("budget")
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 4
    assert all(list(t.intermediate_values) == list(range(1, 21)) for t in trials)


def test_the_winner_is_run_again_on_fresh_seeds(ray_local, tracking_uri, write_space):
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6, 0.7)}')
    config = StudyConfig(space=space, name="confirmed", confirm=2)
    assert run_study(config, backend=FakeBackend()) == 0
    trials = optuna_trials("confirmed")
    assert len(trials) == 7
    assert all(t.state is TrialState.COMPLETE for t in trials)
    _, runs, _ = mlflow_runs(tracking_uri, "confirmed")
    confirmations = [run for run in runs.values() if run.data.tags.get("role") == "confirm"]
    assert {
        (r.data.params["training.learning_rate"], r.data.params["seed"]) for r in confirmations
    } == {(rate, seed) for rate in ("0.7", "0.6") for seed in ("2", "3")}
