import numpy as np
import pytest
import torch

from diffrec.config.baselines import MultVAEConfig
from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.models.baselines.mult_vae import MultVAE
from diffrec.training import runs as training
from diffrec.training.runs import build_run

SMALL = MultVAEConfig(hidden_dims=(8,), latent_dim=4, kl_weight_anneal_batches=4)


def test_the_kl_weight_rises_by_batches_to_its_bound():
    model = MultVAE(SMALL, 6)
    weights = []
    for _ in range(6):
        model.training_loss(torch.ones(2, 6), torch.ones(2, 6), 0)
        weights.append(float(model._kl_weight()))
    assert weights == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2])


def test_the_scores_of_a_batch_are_each_users_own():
    dataset = load_dataset("embedded")
    model = MultVAE(SMALL, dataset.num_items).eval()
    both = model.scores(dataset.train, np.array([3, 1]))
    assert both.shape == (2, dataset.num_items)
    torch.testing.assert_close(both[1:], model.scores(dataset.train, np.array([1])))


@pytest.mark.slow
def test_it_beats_popularity_on_planted_tastes():
    dataset = load_dataset("embedded")
    scores = {}
    for variant in ("Popularity", "MultVAE"):
        config = preset(variant, "embedded").config
        if variant == "MultVAE":
            config = config.replace_values({"training.max_epochs": 30})
        run = build_run(config, dataset.tuning_split())
        for _ in run.epochs():
            pass
        scores[variant] = training.score_test(run, dataset.test)["test/recall@20"]
    assert scores["MultVAE"] > 1.3 * scores["Popularity"]
