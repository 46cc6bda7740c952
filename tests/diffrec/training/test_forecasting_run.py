"""Runs of forecasting recommenders: repeatable, resumable, in pieces, and they learn."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffrec.config import AutoencoderConfig, TrainingConfig
from diffrec.config.forecasting import BridgeConfig, ForecastingConfig, ForecastTaskConfig
from diffrec.config.presets import preset
from diffrec.data import Dataset
from diffrec.data.interactions import Interactions
from diffrec.errors import UserError
from diffrec.models import forecasting
from diffrec.training.checkpoint import load_checkpoint, save_checkpoint
from diffrec.training.run import TrainingRun
from diffrec.training.runs import build_run

QUICK = TrainingConfig(
    batch_size=64, learning_rate=1e-3, weight_decay=0.01, max_epochs=6, eval_every=2, patience=60
)
CONFIGS = {
    "F-DiffRec": ForecastingConfig(training=QUICK),
    "F-DiffRec, five noisy steps": ForecastingConfig(
        training=QUICK,
        bridge=BridgeConfig(
            num_steps=5, noise_scale=0.1, end_noise=0.1, timestep_sampler="importance"
        ),
    ),
    "F-DiffRec, sampled": ForecastingConfig(
        training=QUICK, forecast=ForecastTaskConfig(num_negatives=50)
    ),
    "LF-DiffRec": ForecastingConfig(
        training=QUICK,
        autoencoder=AutoencoderConfig(latent_dim=20),
        bridge=BridgeConfig(num_steps=2, noise_scale=0.1, loss_weighting="elbo"),
    ),
}
configs = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def run_of(config: ForecastingConfig, dataset: Dataset) -> TrainingRun:
    run = build_run(config, dataset.tuning_split())
    assert isinstance(run, TrainingRun)
    return run


@configs
@pytest.mark.parametrize("stop_after", [1, 4])
def test_a_resumed_run_equals_an_uninterrupted_one(config, stop_after, dataset):
    uninterrupted = run_of(config, dataset)
    expected = [(r.epoch, r.loss, r.metrics) for r in uninterrupted.epochs()]
    broken = run_of(config, dataset)
    reports = [broken.next_epoch() for _ in range(stop_after)]
    file = io.BytesIO()
    torch.save(broken.state_dict(), file)
    torch.manual_seed(12345)  # whatever happens to the process's own generator
    resumed = run_of(config, dataset)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    reports += list(resumed.epochs())
    assert [(r.epoch, r.loss, r.metrics) for r in reports] == expected
    uninterrupted.restore_best()
    resumed.restore_best()
    for name, value in uninterrupted.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


@configs
def test_another_seed_is_another_run(config, dataset):
    first = run_of(config, dataset).next_epoch().loss
    second = run_of(config.replace_values({"seed": 2}), dataset).next_epoch().loss
    assert first != second


def test_a_batch_in_pieces_has_the_gradient_of_the_whole(dataset, monkeypatch):
    config = CONFIGS["F-DiffRec"].replace_values({"denoiser.dropout": 0.0})
    unsplit, pieces = run_of(config, dataset), run_of(config, dataset)
    first = unsplit.next_epoch()
    monkeypatch.setattr(forecasting, "CELLS_PER_PIECE", 10 * dataset.num_items)
    assert pieces.next_epoch().loss == pytest.approx(first.loss, rel=1e-5)
    for a, b in zip(unsplit.model.parameters(), pieces.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    assert pieces.model.batches_seen == unsplit.model.batches_seen == -(-dataset.num_users // 64)


@pytest.mark.parametrize("variant", ["F-DiffRec", "LF-DiffRec"])
def test_the_presets_learn_the_planted_order(variant, dataset):
    config = preset(variant, "embedded").config.replace_values(
        {"training.max_epochs": 40, "training.eval_every": 10}
    )
    run = run_of(config, dataset)
    list(run.epochs())
    assert run.best_metrics["valid/recall@20"] > 0.31  # Popularity .18, DiffRec .30


@pytest.mark.parametrize("variant", ["F-DiffRec", "LF-DiffRec"])
def test_a_saved_recommender_scores_as_before(variant, dataset, tmp_path):
    config = preset(variant, "embedded").config.replace_values(
        {"training.max_epochs": 1, "training.eval_every": 1}
    )
    run = run_of(config, dataset)
    list(run.epochs())
    save_checkpoint(tmp_path / "model.pt", run, dataset, {})
    model = load_checkpoint(tmp_path / "model.pt").build(dataset.num_items)
    users = np.arange(5)
    expected = run.model.eval().scores(dataset.train, users)
    assert torch.equal(model.scores(dataset.train, users), expected)


def test_a_dataset_without_two_interactions_a_user_is_refused(dataset):
    first = dataset.train.indptr[:-1]
    indptr = np.arange(dataset.num_users + 1)
    train = Interactions(dataset.num_users, dataset.num_items, indptr, dataset.train.indices[first])
    split = replace(dataset.tuning_split(), train=train)
    with pytest.raises(UserError, match="two interactions"):
        build_run(CONFIGS["F-DiffRec"], split)


def test_it_trains_alone():
    assert CONFIGS["F-DiffRec"].fusion_key() is None
