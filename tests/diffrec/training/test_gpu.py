"""On a GPU: nothing waits inside a step, fused runs are those alone, scores are the CPU's."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from diffrec.data.sources import load_dataset
from diffrec.presets import preset
from diffrec.training.fused import FusedRuns
from diffrec.training.run import TrainingRun, build_run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

QUICK = {"training.max_epochs": 2, "training.eval_every": 2, "training.batch_size": 128}
VARIANTS = ("DiffRec", "T-DiffRec", "L-DiffRec", "LT-DiffRec", "DiffRec+learned_steps")


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
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_host_never_waits_inside_a_step(variant, precision):
    run = build(variant, training__precision=precision)
    run.next_epoch()  # sets up what is set up once
    users = run.users[:128]
    with nothing_waits():
        for _ in range(3):
            run._train_batch(users)


@pytest.mark.parametrize("variant", VARIANTS)
def test_fused_runs_are_those_alone(variant):
    # k-means would find each seed clusters of its own sizes
    latent = {"autoencoder.num_clusters": 1, "autoencoder.clustering": None}
    changes = latent if variant.startswith("L") else {}
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
    found, wanted = run.model.scores(train, users).cpu(), other.model.scores(train, users)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.std()))
