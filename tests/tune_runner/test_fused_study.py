"""Whole studies with `--fuse`: the same trials and results, whoever leaves, whatever is killed."""

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from driver import start_driver
from fake_run import FakeBackend, doubled
from faults import Harm, Watch, diary_name
from servers import wait_until
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.runner import run_study
from tune_runner.study.config import StudyConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FUSED = ResourceRequest(max_concurrent=1, fuse=8)


def measured(watch, key):
    """The whole history of a metric, by trial."""
    _, runs, client = watch.runs()
    return {
        int(run.data.tags["trial_number"]): {
            metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, key)
        }
        for run in runs
    }


def test_a_fused_study_finds_what_one_by_one_finds(ray_local, tracking_uri, write_space):
    space = write_space('{"training.learning_rate": Choice(1e-3, 1e-4)}', epochs=3)
    single = StudyConfig(
        space=space, name="single", seeds=2, request=ResourceRequest(max_concurrent=1)
    )
    fused = replace(single, name="fused", request=FUSED)
    watches = [Watch(config.name, tracking_uri) for config in (single, fused)]
    for config, watch in zip((single, fused), watches, strict=True):
        assert run_study(config, measure=doubled) == 0
        assert watch.harm() == Harm()
    one, other = (watch.trials() for watch in watches)
    assert len(one) == len(other) == 4
    for separate, together in zip(one, other, strict=True):
        assert (separate.params, separate.user_attrs) == (together.params, together.user_attrs)
        assert together.value == pytest.approx(separate.value, abs=1e-3)
        assert together.intermediate_values == pytest.approx(separate.intermediate_values, abs=1e-3)
    losses, same = (measured(watch, "train/loss") for watch in watches)
    assert {n: pytest.approx(row, rel=1e-5) for n, row in losses.items()} == same
    costs = [run.data.metrics for run in watches[1].runs()[1]]
    assert sum(cost["cost/cpus"] for cost in costs) < 2  # of the one that they shared


def test_who_is_given_up_leaves_and_the_others_go_on(ray_local, tracking_uri, write_space):
    rates = '{"training.learning_rate": Choice(0.9, 0.8, 0.1, 0.05, 0.7, 0.02)}'
    config = StudyConfig(
        space=write_space(rates), name="leaving", pruner="successive-halving", request=FUSED
    )
    diary = Path("diary").resolve()
    assert run_study(config, backend=FakeBackend(diary=str(diary)), measure=doubled) == 0
    watch = Watch("leaving", tracking_uri)
    assert watch.harm() == Harm()
    trials = watch.trials()
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    assert len(pruned) >= 3
    assert all(t.last_step == 8 for t in trials if t not in pruned)
    ran = [line.split() for line in diary.read_text().splitlines()]
    assert len({pid for pid, *_ in ran}) == 1, "they were not together"
    for trial in trials:
        name = diary_name(trial.user_attrs["name"])
        epochs = [int(epoch) for *_, trial_name, epoch in ran if trial_name == name]
        assert epochs == list(range(1, trial.last_step + 1)), "it was trained on after its end"


def test_accidents_of_one_harm_no_other(ray_local, tracking_uri, write_space, tmp_path):
    space = write_space('{"training.weight_decay": Choice(0.0, 0.1, 0.2, 0.3, 0.4, 0.5)}')
    config = StudyConfig(space=space, name="companions", request=FUSED)
    assert run_study(config, backend=FakeBackend(graves=str(tmp_path)), measure=doubled) == 0
    watch = Watch("companions", tracking_uri)
    assert watch.harm() == Harm()
    fine, nan, broken, killed, starved, insatiable = watch.trials()
    assert [t.state for t in (fine, killed, starved)] == [TrialState.COMPLETE] * 3
    assert all(list(t.intermediate_values) == list(range(1, 9)) for t in (fine, killed, starved))
    assert nan.user_attrs["error"] == "the loss is not finite in epoch 3"
    assert broken.user_attrs["error"] == "RuntimeError: planted"
    assert insatiable.user_attrs["error"] == "MemoryError: no message"


def test_a_killed_study_goes_on_in_other_groups(ray_cluster, tracking_uri, write_space):
    space = write_space('{"training.learning_rate": Choice(0.5, 0.7, 0.6)}', epochs=6)
    diary = Path("diary").resolve()
    backend = FakeBackend(seconds=0.1, diary=str(diary))
    config = StudyConfig(space=space, name="regrouped", seeds=2, request=replace(FUSED, fuse=4))
    watch = Watch("regrouped", tracking_uri, diary=str(diary))

    def lines():
        return len(diary.read_text().splitlines()) if diary.exists() else 0

    for fuse, resume in ((4, False), (3, True)):
        request = replace(FUSED, fuse=fuse)
        before = lines()
        driver = start_driver(
            replace(config, request=request), backend, ray_cluster.address, resume=resume
        )
        wait_until(lambda before=before: lines() >= before + 10)
        driver.kill()
        driver.join()
        assert watch.harm(ended=False) == Harm()
    single = replace(config, request=ResourceRequest(max_concurrent=1))
    assert (
        run_study(single, resume=True, backend=replace(backend, seconds=0.0), measure=doubled) == 0
    )
    assert watch.harm() == Harm()
    trials = watch.trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 6
    assert all(list(t.intermediate_values) == list(range(1, 7)) for t in trials)
