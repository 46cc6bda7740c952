"""A worker that has done with a trial has forgotten it, however it ended."""

import gc
import math
import weakref
from types import SimpleNamespace

import pytest
import torch

from diffrec.config.presets import preset
from diffrec.data.sources import load_dataset
from diffrec.training.fused.runs import FusedEpoch, FusedRuns
from diffrec.training.reports import EpochReport
from diffrec.training.runs import build_run
from tune_runner.checkpoints import files
from tune_runner.worker import trainable
from tune_runner.worker import trial as member_module
from tune_runner.worker.trainable import RecommenderTrainable
from tune_runner.worker.trial import WorkerTrial

SPLIT = load_dataset("embedded").tuning_split()


def worker(count: int) -> RecommenderTrainable:
    """A worker in the midst of a group's training, made without Ray."""
    trial = RecommenderTrainable.__new__(RecommenderTrainable)
    trial._meter, trial._device = None, "cpu"
    names = [SimpleNamespace(number=number, name=str(number)) for number in range(count)]
    trial._assignment = SimpleNamespace(name="group", trials=names, objective="valid/recall@20")
    trial._backend = SimpleNamespace(fuse=FusedRuns)
    trial._members = []
    for number in range(count):
        values = {"seed": number + 1, "training.max_epochs": 6, "training.eval_every": 2}
        run = build_run(preset("DiffRec", "embedded").config.replace_values(values), SPLIT)
        task = SimpleNamespace(number=number, name=str(number), config={}, checkpoint="")
        member = WorkerTrial(task, "valid/recall@20", None, None)
        member.run = run
        trial._members.append(member)
    trial._stacks = trial._group_runs()
    for stack in trial._stacks:
        assert all(epoch.error is None for epoch in trial._next_epochs(stack))
    return trial


def breaks(trial: RecommenderTrainable, how: str) -> None:
    """Let the next epoch end in an accident."""

    def step(_):
        if how == "memory":
            raise torch.OutOfMemoryError("out of memory")
        return losses.clone()

    losses = torch.full((len(trial._members),), math.nan)
    for member in trial._members:
        member.run._train_batch = step
    for stack in trial._stacks:
        if stack._stack is not None:
            stack._stack.learn = step
    if len(losses) == 1:
        losses = losses[0]


@pytest.mark.parametrize("how", ["memory", "loss"])
@pytest.mark.parametrize("count", [1, 2])
def test_nothing_of_a_trial_that_had_an_accident_stays(count, how, monkeypatch):
    monkeypatch.setattr(trainable.logger, "disabled", True)  # pytest keeps what is logged
    trial = worker(count)
    breaks(trial, how)
    models = [weakref.ref(member.run.model) for member in trial._members]
    models += [weakref.ref(s._stack) for s in trial._stacks if s._stack is not None]
    gc.collect()
    gc.disable()  # a GPU's memory cannot wait for it
    try:
        reports = trial._advance()
        assert [report.outcome is not None for report in reports.values()] == [True] * count
        trial._reset()
        assert [model() for model in models] == [None] * len(models)
    finally:
        gc.enable()


def test_checkpoints_take_a_tenth_of_the_time_and_the_last_is_always_written(monkeypatch):
    clock, saved = [0.0], []

    def save(store, state, *, token):
        saved.append(state["run"])
        clock[0] += 1.0

    monkeypatch.setattr(files, "save", save)
    monkeypatch.setattr(member_module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    task = SimpleNamespace(number=0, name="0", config={}, checkpoint="")
    backend = SimpleNamespace(test=lambda run, test: ({}, {}))
    member = WorkerTrial(task, "valid/recall@20", backend, SimpleNamespace(test=None))
    member._store = member_module.CheckpointStore("unused")
    member.run = SimpleNamespace(
        state_dict=lambda: epoch, finished=False, best_metrics={}, best_epoch=1
    )
    for epoch in range(1, 20):  # two seconds each, a half of which is this trial's
        report = EpochReport(epoch, 0.5, 1.0, {}, is_best=False, finished=epoch == 19)
        assert (
            member.record_epoch(FusedEpoch(member.run, report, None, 1.0), 2.0, fraction=0.5)
            is not None
        )
    assert saved == [1, 11, 19]


def test_a_quick_checkpoint_is_written_at_every_validation(tmp_path):
    trial = worker(1)
    (member,) = trial._members
    member._store = member_module.CheckpointStore(str(tmp_path / "trial"))
    member._token = member._store.claim()
    for _ in range(2):
        (report,) = trial._advance().values()
        member._save_seconds = 0.0  # as if writing took no time
        state = files.load(member._store)
        assert state["run"]["epoch"] == report.epoch
