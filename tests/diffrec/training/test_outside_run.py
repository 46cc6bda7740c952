"""Recommenders from outside are trained, resumed, evaluated and asked like ours."""

import io
import json

import numpy as np
import pytest
import torch

from diffrec.__main__ import main
from diffrec.config import external
from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.errors import UserError
from diffrec.training.runs import build_run

VARIANTS = ("LinearAttention", "GiffCF")
QUICK = {"training.max_epochs": 4, "training.eval_every": 2}


@pytest.fixture
def installed(outside_packages, monkeypatch):
    monkeypatch.syspath_prepend(str(outside_packages))


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("embedded")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_resumed_from_its_file_equals_the_uninterrupted_one(variant, installed, dataset):
    config = preset(variant, "embedded").config.replace_values(QUICK)
    whole = build_run(config, dataset.tuning_split())
    expected = [(r.epoch, r.loss, r.metrics) for r in whole.epochs()]
    first = build_run(config, dataset.tuning_split())
    reports = [first.next_epoch(), first.next_epoch()]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed = build_run(config, dataset.tuning_split())
    resumed.load_state_dict(torch.load(file, weights_only=True))
    reports += list(resumed.epochs())
    assert [(r.epoch, r.loss, r.metrics) for r in reports] == expected
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_commands_know_it_by_its_name(variant, installed, tmp_path, capsys):
    arguments = ["--dataset", "embedded", "--variant", variant, "--out", str(tmp_path)]
    changes = [part for path, value in QUICK.items() for part in ("--set", f"{path}={value}")]
    assert main(["train", *arguments, *changes]) == 0
    written = json.loads((tmp_path / "metrics.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", "--checkpoint", str(tmp_path), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics == pytest.approx({k: written[k] for k in metrics})
    assert main(["recommend", "--checkpoint", str(tmp_path), "--history", "3,1", "-k", "5"]) == 0
    assert capsys.readouterr().out.count("\n") == 6


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "epochs"), [("LinearAttention", 60), ("GiffCF", 50)])
def test_it_learns(variant, epochs, installed, dataset):
    config = preset(variant, "embedded").config.replace_values({"training.max_epochs": epochs})
    run = build_run(config, dataset.tuning_split())
    for _ in run.epochs():
        pass
    assert run.best_metrics["valid/recall@20"] > 0.32  # DiffRec: 0.33
    assert 0 < run.best_metrics["valid/coverage@20"] <= 1


MODEL = """
from dataclasses import dataclass
from typing import ClassVar
import torch
from torch import nn
from diffrec.config import ExternalConfig, TrainingConfig
from diffrec.models.base import Recommender

@dataclass(frozen=True, kw_only=True, slots=True)
class FaultConfig(ExternalConfig):
    name: ClassVar[str] = "{name}"
    model: ClassVar[str] = "Model"
    training: TrainingConfig = TrainingConfig(max_epochs=1, eval_every=1)

class Model(Recommender):
    def __init__(self, config, num_items):
        super().__init__(config, num_items)
        self.bias = nn.Parameter(torch.zeros(num_items))
        {init}
    {state}
    def training_loss(self, x_0, target, epoch):
        loss = (self.bias - x_0).square().mean()
        return {loss}
    def scores(self, history, users):
        scores = self.bias.expand(len(users), -1)
        return {scores}
"""
DEFAULT = {"init": "pass", "state": "", "loss": "loss", "scores": "scores"}
FAULTS = {
    "scores of the wrong shape": (
        {"scores": "scores[:, 1:]"},
        r"of shape \[\d+, 399\]; correct it",
    ),
    "scores of one user": ({"scores": "scores[0]"}, r"of shape \[400\]; correct it"),
    "scores as an array": ({"scores": "scores.numpy()"}, "got ndarray; correct it"),
    "scores of whole numbers": ({"scores": "scores.long()"}, r"torch.int64 of shape"),
    "no scores": ({"scores": "None"}, "got NoneType"),
    "scores that are no numbers": ({"scores": "scores * float('nan')"}, "some are NaN"),
    "a loss of each user": ({"loss": "x_0.sum(1) * loss"}, r"shape \[400\] with a gradient"),
    "a loss without a gradient": ({"loss": "loss.detach()"}, "without a gradient"),
    "a loss as a number": ({"loss": "float(loss.detach())"}, "got float"),
    "a state that is no tensor": (
        {"state": "def get_extra_state(self): return lambda: 3"},
        "must be tensors.*'_extra_state' is a function",
    ),
    "weights as a list": (
        {"state": "def learned_weights(self): return [1.0]"},
        r"`learned_weights` of Model must return .* but got list; mend it",
    ),
    "weights of one row": (
        {"state": "def learned_weights(self): return self.bias"},
        r"of shape \[400\]; mend it",
    ),
    "weights that are no numbers": (
        {"state": "def learned_weights(self): return self.bias[None] * float('nan')"},
        "of finite numbers",
    ),
    "weights without their ages": (
        {
            "state": "def learned_weights(self): return self.bias[None]\n"
            "    def describe_weights(self): return {'ages': [0, 1]}"
        },
        "for each of the 400 columns of `learned_weights`, but has 2",
    ),
    "a constructor that fails": ({"init": "raise KeyError('dim')"}, "cannot be built .*KeyError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_model_fails_its_trial_in_one_sentence(fault, tmp_path, dataset):
    changes, rule = FAULTS[fault]
    name = fault.title().replace(" ", "")
    (tmp_path / f"{name}.py").write_text(MODEL.format(name=name, **DEFAULT | changes))
    cls = external.external_class(f"{tmp_path}:{name}:FaultConfig", trusted=True)
    with pytest.raises(UserError, match=rule) as caught:
        build_run(cls(), dataset.tuning_split()).next_epoch()
    assert "\n" not in str(caught.value)


def test_learned_weights_need_no_description(tmp_path, dataset):
    learns = "def learned_weights(self): return self.bias[None]"
    (tmp_path / "learns.py").write_text(MODEL.format(name="Learns", **DEFAULT | {"state": learns}))
    cls = external.external_class(f"{tmp_path}:learns:FaultConfig", trusted=True)
    run = build_run(cls(), dataset.tuning_split())
    run.next_epoch()
    trajectory = run.weight_trajectory()
    assert trajectory["weighting"] == "Learns"
    assert trajectory["slots"] == list(range(400))
    assert trajectory["epochs"] == [0, 1]


def test_scores_that_share_one_row_are_masked_user_by_user(tmp_path, dataset):
    (tmp_path / "shared.py").write_text(MODEL.format(name="Shared", **DEFAULT))
    cls = external.external_class(f"{tmp_path}:shared:FaultConfig", trusted=True)
    run = build_run(cls(), dataset.tuning_split())
    before = run.model.bias.detach().clone()
    report = run.next_epoch()
    assert report.metrics is not None
    assert torch.isfinite(run.model.bias).all()
    assert not torch.equal(before, run.model.bias)
    counts = np.bincount(dataset.train.indices, minlength=dataset.num_items)
    assert run.model.bias.shape == counts.shape
