"""Abilities of a recommender from outside: pruned, estimated, not fused, its weights recorded."""

import pytest
from mlflow.tracking import MlflowClient

from analysis.report.build import report_study
from analysis.study.mlflow_reader import connect, read_study, with_weights
from tune_runner.cli.main import main
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.runner import run_study
from tune_runner.study.config import StudyConfig

SPACE = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from diffrec.config import ExternalConfig, TrainingConfig
from diffrec.models.base import Recommender
from search_spaces import Choice, Condition, SearchSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedConfig(ExternalConfig):
    name: ClassVar[str] = "Judged"
    model: ClassVar[str] = "Judged"
    quality: float = 1.0
    gigabytes: float = 0.0
    training: TrainingConfig = TrainingConfig(max_epochs=6, eval_every=1, batch_size=300)

    def estimate_bytes(self, num_users, num_items, *, fused=False):
        return self.gigabytes * 2**30


class Judged(Recommender):
    def __init__(self, config, num_items):
        super().__init__(config, num_items)
        self.register_buffer("counts", torch.zeros(num_items))
        self.by_age = nn.Parameter(torch.zeros(1, 3))

    def prepare(self, split):
        self.counts.copy_(torch.from_numpy(np.bincount(split.train.indices, minlength=400)))

    def training_loss(self, x_0, target, epoch):
        return (self.by_age - x_0.mean()).square().sum()

    def scores(self, history, users):
        return (self.counts * self.config.quality).expand(len(users), -1)

    def learned_weights(self):
        return self.by_age.detach()

    def describe_weights(self):
        return {"ages": [0, 1, 3]}


SPACE = SearchSpace(
    name="judged", question="Is it pruned?", pruner="median",
    domains={
        "variant": Choice("EASE", JudgedConfig),
        "quality": Choice(1.0, 0.9, 0.8, 0.7, 0.6, -1.0),
    },
    conditions={"quality": Condition("variant", ("Judged",))},
    control={"variant": "EASE"},
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of the space file: a recommender's name has one file in a process."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "judged.py").write_text(SPACE)
    return folder


@pytest.fixture
def space(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return str(folder / "judged.py")


def test_a_probe_measures_it(space, capsys):
    assert main(["--space", space, "--dry-run", "--probe", "--max-concurrent", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Judged" in shown
    assert "EASE" in shown


def test_its_own_estimate_of_memory_is_heard(space, tmp_path, capsys):
    text = SPACE.replace("Judged", "Huge").replace('"quality":', '"gigabytes":')
    (tmp_path / "huge.py").write_text(
        text.replace("Choice(1.0, 0.9, 0.8, 0.7, 0.6, -1.0)", "Choice(9e6)")
    )
    assert main(["--space", "huge.py", "--dry-run", "--probe"]) == 2
    said = capsys.readouterr().err
    assert "Huge" in said
    assert "GiB" in said
    assert said.count("\n") == 1


def test_fusing_it_is_refused_in_one_sentence(space, tmp_path, capsys):
    assert main(["--space", space, "--fuse", "2"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --fuse 2 is of no use here: EASE, Judged cannot be fused")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
@pytest.mark.slow
def test_it_is_pruned_and_its_learned_weights_are_recorded_beside_a_baseline(
    space, ray_local, tracking_uri, tmp_path, capsys
):
    request = ResourceRequest(max_concurrent=1)
    assert run_study(StudyConfig(space=space, name="judged", request=request)) == 0
    study = with_weights(connect(tracking_uri), read_study(connect(tracking_uri), "judged"))
    states = {trial.params.get("quality", 0): trial.state for trial in study.trials}
    assert states.pop(-1.0) == "pruned"
    assert set(states.values()) == {"complete"}
    judged = [t for t in study.trials if t.variant == "Judged" and t.state == "complete"]
    assert len(judged) == 5
    for trial in judged:
        assert trial.weights is not None
        assert (trial.weights.weighting, trial.weights.places) == ("Judged", (0.0, 1.0, 3.0))
        assert trial.weights.is_by_age
        assert trial.weights.epochs == tuple(range(7))
        assert trial.weights.values[0].tolist() == [[0.0, 0.0, 0.0]]
        assert (trial.weights.values[-1] != 0).all()
    files = MlflowClient(tracking_uri).list_artifacts(judged[0].run_id)
    assert "weight_trajectory.json" in [file.path for file in files]
    capsys.readouterr()
    assert report_study("judged", tracking_uri, tmp_path / "runs", with_figures=False) == 0
    shown = capsys.readouterr().out
    assert "Judged" in shown
    assert "EASE *" in shown
