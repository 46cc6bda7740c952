"""An outside recommender's trial, killed by SIGKILL, continues with the same results."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from servers import wait_until

ROOT = Path(__file__).parents[3]
TRIAL = """
import json, sys
import torch
torch.set_num_threads(1)
from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.training.fused.runs import FusedRuns
from tune_runner.trials.groups import AssignedTrial
from tune_runner.worker.backend import TrainingBackend
from tune_runner.worker.trial import WorkerTrial

folder, variant = sys.argv[1:]
changes = {"training.max_epochs": 16, "training.eval_every": 2}
config = preset(variant, "embedded").config.replace_values(changes)
assigned = AssignedTrial(0, "0000", config.to_dict(), folder)
trial = WorkerTrial(assigned, "valid/recall@20", TrainingBackend(), load_dataset("embedded"))
trial.start("cpu")
print("resumed at", trial.run.epoch, flush=True)
runs, reports = FusedRuns([trial.run]), []
while not trial.run.finished:
    report = trial.record_epoch(runs.next_epoch()[0], 1.0)
print(json.dumps({k: v for k, v in report.outcome.metrics.items() if not k.startswith("cost")}))
"""


def start(folder, variant, packages, said):
    environment = {**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"}
    arguments = [sys.executable, "-c", TRIAL, str(folder), variant]
    with said.open("w") as output:
        return subprocess.Popen(arguments, env=environment, cwd=ROOT, stdout=output)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["LinearAttention", "GiffCF"])
def test_a_killed_trial_equals_the_uninterrupted_one(variant, outside_packages, tmp_path):
    killed = tmp_path / "killed"
    first = start(killed, variant, outside_packages, tmp_path / "first")
    wait_until(lambda: any(killed.rglob("state.pt")) or first.poll() is not None)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    said = []
    for folder in (killed, tmp_path / "whole"):
        process = start(folder, variant, outside_packages, tmp_path / "said")
        assert process.wait(timeout=200) == 0
        said.append((tmp_path / "said").read_text().splitlines())
    epochs = [int(lines[0].removeprefix("resumed at ")) for lines in said]
    assert 0 < epochs[0] < 16
    assert epochs[1] == 0
    assert json.loads(said[0][1]) == json.loads(said[1][1])
