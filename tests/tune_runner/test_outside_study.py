"""Recommenders from outside in a study: killed, resumed to the bit, reported beside a baseline."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from mlflow.tracking import MlflowClient

from diffrec.__main__ import main as diffrec
from diffrec.data import load_dataset
from diffrec.training.runs import build_run, user_test_scores
from search_spaces import get_space
from servers import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SPACE = """
from dataclasses import dataclass
from typing import ClassVar

from diffrec.config import ExternalConfig
from search_spaces import Choice, SearchSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class CountsConfig(ExternalConfig):
    name: ClassVar[str] = "Counts"
    model: ClassVar[str] = "counts:Counts"


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenConfig(ExternalConfig):
    name: ClassVar[str] = "Broken"
    model: ClassVar[str] = "counts:Broken"


SPACE = SearchSpace(
    name="outside", question="Do recommenders from outside go through the same door?",
    overrides={"training.max_epochs": 24, "training.eval_every": 2},
    domains={"variant": Choice("LinearAttention", "GiffCF", CountsConfig, "EASE", BrokenConfig)},
    control={"variant": "EASE"}, replicates=2,
)
"""
COUNTS = '''
import numpy as np
import torch
from diffrec.models.base import Recommender


class Counts(Recommender):
    """Popularity, as a user would write it."""

    def __init__(self, config, num_items):
        super().__init__(config, num_items)
        self.register_buffer("counts", torch.zeros(num_items))

    def fit(self, train):
        self.counts.copy_(torch.from_numpy(np.bincount(train.indices, minlength=self.num_items)))

    def scores(self, history, users):
        return self.counts.expand(len(users), -1)


class Broken(Counts):
    def scores(self, history, users):
        return super().scores(history, users)[:, :3]
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory, outside_packages, empty_database):
    folder = tmp_path_factory.mktemp("study")
    shutil.copy(empty_database, folder)
    (folder / "outside.py").write_text(SPACE)
    (folder / "counts.py").write_text(COUNTS)
    return folder


def command(place, packages, *arguments):
    environment = {**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}"}
    environment.pop("RAY_ADDRESS", None)
    with (place / "output").open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "tune_runner", *arguments],
            cwd=place,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def study(place, outside_packages):
    """Exit code and output of a study that was killed in its first trial, and resumed."""
    means = ("--max-concurrent", "1", "--cpus-per-trial", "1")
    first = command(place, outside_packages, "--space", "outside.py", "--name", "killed", *means)
    checkpoints = place / "runs" / "killed" / "checkpoints"
    wait_until(lambda: any(checkpoints.rglob("state.pt")) or first.poll() is not None, 200)
    assert first.poll() is None
    processes = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=30)
    first.wait()
    assert any(checkpoints.rglob("state.pt"))
    resumed = command(place, outside_packages, "--resume", "killed", *means)
    return resumed.wait(timeout=280), (place / "output").read_text()


@pytest.fixture
def here(place, outside_packages, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(outside_packages))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")


def trials(place):
    client = MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("diffrec").experiment_id
    return client.search_runs([experiment], "tags.kind = 'trial'", max_results=50)


def test_a_killed_study_ends_as_if_nothing_had_happened(study, place, here):
    code, said = study
    assert code == 0, said
    found = trials(place)
    states = {(r.data.tags["variant"], r.data.params["seed"]): r.data.tags["state"] for r in found}
    assert len(states) == len(found) == 10
    assert {v for (v, _), state in states.items() if state != "complete"} == {"Broken"}
    broken = [r.data.tags["error"] for r in found if r.data.tags["variant"] == "Broken"]
    assert all("must return a floating-point tensor of shape" in error for error in broken)
    threads, split = torch.get_num_threads(), load_dataset("embedded").tuning_split()
    torch.set_num_threads(1)
    space = get_space("outside.py")
    for run in found:
        variant, seed = run.data.tags["variant"], int(run.data.params["seed"])
        if seed != 1 or variant in ("Broken", "EASE"):
            continue
        alone = build_run(space.resolve({"variant": variant}, "embedded", seed=seed), split)
        for _ in alone.epochs():
            pass
        expected = user_test_scores(alone, load_dataset("embedded").test).means()
        for name, value in expected.items():
            logged = run.data.metrics[f"test/{name.replace('@', '_at_')}"]
            assert logged == value, (variant, name)
    torch.set_num_threads(threads)


def test_its_table_shows_them_beside_the_baseline(study):
    for name in ("LinearAttention", "GiffCF", "Counts", "EASE"):
        assert name in study[1]
    assert "* marks the control" in study[1]


def test_its_best_trial_is_evaluated_and_asked(study, place, here, capsys):
    capsys.readouterr()
    assert diffrec(["evaluate", "--run", "killed", "--json"]) == 0
    assert "test/recall@20" in capsys.readouterr().out
    assert diffrec(["recommend", "--run", "killed", "--users", "3", "-k", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
