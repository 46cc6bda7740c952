"""On a GPU: nothing waits inside a step, fused runs are those alone, scores are the CPU's."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from diffrec.config.presets import preset
from diffrec.data.sources import load_dataset
from diffrec.training.fused.runs import FusedRuns
from diffrec.training.run import TrainingRun
from diffrec.training.runs import build_run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

QUICK = {"training.max_epochs": 2, "training.eval_every": 2, "training.batch_size": 128}
VARIANTS = ("DiffRec", "T-DiffRec", "L-DiffRec", "LT-DiffRec", "DiffRec+learned_steps")


# k-means would find each seed clusters of its own sizes
ONE_CLUSTER = {"autoencoder.num_clusters": 1, "autoencoder.clustering": None}
SPLIT = load_dataset("embedded").tuning_split()


def build(variant: str, device: str = "cuda", **changes) -> TrainingRun:
    values = QUICK | {key.replace("__", "."): value for key, value in changes.items()}
    config = preset(variant, "embedded").config.replace_values(values)
    return build_run(config, SPLIT, device=device)


@contextmanager
def nothing_waits() -> Iterator[None]:
    """Let torch raise where the host would wait for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("variant", [*VARIANTS, "MultVAE"])
def test_the_host_never_waits_inside_a_step(variant, precision):
    run = build(variant, training__precision=precision)
    run.next_epoch()  # sets up what is set up once
    with nothing_waits():
        for batch in run.batches():
            run._train_batch(batch)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("variant", [*VARIANTS, "MultVAE"])
def test_a_recorded_step_is_the_step(variant, precision):
    recorded, eager = (build(variant, training__precision=precision) for _ in range(2))
    assert recorded.uses_cuda_graph
    eager.uses_cuda_graph = False
    for _ in range(2):
        assert recorded.next_epoch().loss == eager.next_epoch().loss
    assert_same_weights(recorded, eager)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_recorded_step_of_fused_runs_is_the_step(variant):
    latent = ONE_CLUSTER if variant.startswith("L") else {}
    ways = [[build(variant, seed=seed, **latent) for seed in (1, 2)] for _ in range(2)]
    for run in ways[1]:
        run.uses_cuda_graph = False
    groups = [FusedRuns(runs) for runs in ways]
    for _ in range(2):
        recorded, eager = ([epoch.report.loss for epoch in g.next_epoch()] for g in groups)
        assert recorded == eager
    for one, other in zip(*ways, strict=True):
        assert_same_weights(one, other)


def test_a_run_that_leaves_a_stack_records_anew():
    expected = list(build("DiffRec", training__max_epochs=4).epochs())
    run = build("DiffRec", training__max_epochs=4)
    run.next_epoch()  # recorded alone
    fused = FusedRuns([run, build("DiffRec", seed=2, training__max_epochs=4)])
    fused.next_epoch()
    fused.leave(run)
    for report in expected[2:]:
        assert run.next_epoch().loss == pytest.approx(report.loss, rel=1e-4)


def test_a_run_that_goes_on_from_its_state_records_anew():
    run, resumed = build("DiffRec"), build("DiffRec")
    run.next_epoch()
    resumed.next_epoch()
    resumed.load_state_dict(copy.deepcopy(run.state_dict()))
    assert resumed.next_epoch().loss == run.next_epoch().loss


def test_an_error_while_a_step_is_recorded_is_that_runs_alone():
    expected = [report.loss for report in build("DiffRec").epochs()]
    broken = build("DiffRec")
    loss, calls = broken.model.training_loss, iter([True, False])

    def breaks_off(x_0, target, epoch):
        value = loss(x_0, target, epoch)
        if next(calls):
            return value
        raise torch.OutOfMemoryError("no more room")

    broken.model.training_loss = breaks_off
    with pytest.raises(torch.OutOfMemoryError, match="no more room"):
        broken.next_epoch()
    assert [report.loss for report in build("DiffRec").epochs()] == expected


def test_the_memory_of_a_finished_run_is_free_again():
    held = []
    for _ in range(3):
        list(build("DiffRec").epochs())
        torch.cuda.empty_cache()
        held.append(torch.cuda.memory_reserved())
    assert held[1] == held[2]  # after the first a library's workspace stays


def assert_same_weights(one: TrainingRun, other: TrainingRun) -> None:
    theirs = other.model.state_dict()
    for name, mine in one.model.state_dict().items():
        torch.testing.assert_close(mine, theirs[name], rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_fused_runs_are_those_alone(variant):
    changes = ONE_CLUSTER if variant.startswith("L") else {}
    expected = {seed: list(build(variant, seed=seed, **changes).epochs()) for seed in (1, 2, 3)}
    fused = FusedRuns([build(variant, seed=seed, **changes) for seed in expected])
    while fused.runs:
        for run, report, error, _ in fused.next_epoch():
            assert error is None
            alone = expected[run.config.seed][run.epoch - 1]
            assert report.loss == pytest.approx(alone.loss, rel=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_the_cpus(variant):
    run, other = build(variant), build(variant, "cpu")
    run.next_epoch()
    other.model.load_state_dict({k: v.cpu() for k, v in run.model.state_dict().items()})
    run.model.eval()
    other.model.eval()
    train, users = run.split.train, np.arange(50)
    value, expected = run.model.scores(train, users).cpu(), other.model.scores(train, users)
    torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-4 * float(expected.std()))
