"""The fast way to scores equals the plain one, whatever the configuration."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrec.config import RecommenderConfig
from diffrec.config.presets import VARIANTS, preset
from diffrec.data.batches import dense_rows
from diffrec.data.interactions import Interactions
from diffrec.models import recommender
from diffrec.models.noise import UserNoise
from diffrec.models.recommender import DiffusionRecommender
from diffrec.models.temporal import interaction_weights

USERS, ITEMS = 12, 20


@st.composite
def recommenders(draw) -> tuple[DiffusionRecommender, Interactions]:
    variant = draw(st.sampled_from(VARIANTS))
    low = draw(st.floats(1e-3, 0.1))
    changes = {
        "diffusion.num_steps": (steps := draw(st.integers(1, 20))),
        "diffusion.beta_schedule": draw(st.sampled_from(["linear", "linear_variance"])),
        "diffusion.noise_scale": draw(st.floats(0.05, 1)),
        "diffusion.noise_min": low,
        "diffusion.noise_max": 2 * low,
        "diffusion.pin_first_beta": draw(st.booleans()),
        "diffusion.prediction_target": draw(st.sampled_from(["x_0", "epsilon"])),
        "diffusion.num_inference_noise_steps": draw(st.integers(0, steps)),
        "diffusion.stochastic_sampling": draw(st.booleans()),
        "denoiser.normalize_input": draw(st.booleans()),
        "denoiser.hidden_dims": draw(st.lists(st.integers(1, 24), min_size=1, max_size=3)),
    }
    config: RecommenderConfig = preset(variant, "embedded").config
    ids = None
    if config.autoencoder is not None:
        changes["autoencoder.latent_dim"] = draw(st.integers(4, 12))
        ids = np.arange(ITEMS) % 2
    torch.manual_seed(draw(st.integers(0, 1000)))
    model = DiffusionRecommender(config.replace_values(changes), ITEMS, ids).eval()
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    chosen = rng.random((USERS, ITEMS)) < draw(st.floats(0.05, 0.6))
    return model, Interactions.from_pairs(np.argwhere(chosen).reshape(-1, 2), USERS, ITEMS)


def plain_scores(model: DiffusionRecommender, history: Interactions) -> torch.Tensor:
    """The published procedure: dense histories through all T steps of the whole network."""
    weights = interaction_weights(model.config.temporal, history)
    x_0 = torch.from_numpy(dense_rows(history, np.arange(USERS), weights))
    draw = UserNoise(model.config.seed, np.arange(USERS))
    with torch.no_grad():
        if model.autoencoder is not None:
            x_0 = model.autoencoder.encode(x_0).latent
        start = model.process.noise_history(x_0, draw)
        x_0_hat = model.process.reverse_chain(model.denoiser, start, draw=draw)
        return x_0_hat if model.autoencoder is None else model.autoencoder.decode(x_0_hat)


@settings(max_examples=50)
@given(recommenders())
def test_scores_equal_those_of_the_plain_chain(given_model):
    model, history = given_model
    plain = plain_scores(model, history)
    with model.cached_scoring():
        fast = model.scores(history, np.arange(USERS))
    scale = max(1.0, float(plain.abs().max()))
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5 * scale)


@settings(max_examples=30)
@given(recommenders())
def test_a_users_scores_do_not_depend_on_who_is_scored_with_him(given_model):
    model, history = given_model
    together = model.scores(history, np.arange(USERS))
    assert torch.equal(model.scores(history, np.arange(USERS)), together)  # nor on what was asked
    for users in (np.array([3]), np.array([9, 2, 11])):
        scale = max(1.0, float(together.abs().max()))
        torch.testing.assert_close(
            model.scores(history, users), together[users], rtol=1e-5, atol=1e-5 * scale
        )


@pytest.mark.parametrize("seeds", [(1, 1), (1, 2)])
@pytest.mark.parametrize("noise", [{"num_inference_noise_steps": 2}, {"stochastic_sampling": True}])
def test_each_user_and_each_seed_has_its_own_noise(noise, seeds):
    scores = []
    for seed in seeds:
        changes = {f"diffusion.{name}": value for name, value in noise.items()}
        changes |= {"diffusion.noise_scale": 0.5, "seed": seed}
        torch.manual_seed(0)
        config = preset("DiffRec", "embedded").config.replace_values(changes)
        model = DiffusionRecommender(config, ITEMS).eval()
        alike = Interactions.from_pairs(np.array([[0, 1], [1, 1]]), 2, ITEMS)
        scores.append(model.scores(alike, np.arange(2)))
    assert not torch.allclose(scores[0][0], scores[0][1])
    assert torch.equal(scores[0], scores[1]) == (seeds[0] == seeds[1])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("change", [{}, {"diffusion.prediction_target": "epsilon"}], ids=str)
def test_the_chain_never_runs_over_all_items_where_it_need_not(variant, change, monkeypatch):
    config = preset(variant, "embedded").config.replace_values(change)
    ids = np.arange(ITEMS) % 2 if config.autoencoder else None
    model = DiffusionRecommender(config, ITEMS, ids).eval()

    def refuse(*_):
        raise AssertionError("the plain chain was taken")

    monkeypatch.setattr(model.process, "reverse_chain", refuse)
    history = Interactions.from_pairs(np.array([[0, 1], [1, 3]]), USERS, ITEMS)
    assert model.scores(history, np.arange(USERS)).shape == (USERS, ITEMS)


def test_what_users_share_is_computed_once_and_never_outlives_a_change(monkeypatch):
    model = DiffusionRecommender(preset("DiffRec", "embedded").config, ITEMS).eval()
    history = Interactions.from_pairs(np.array([[0, 1], [1, 3]]), USERS, ITEMS)
    shortcuts = []
    real = recommender.build_shortcut
    monkeypatch.setattr(recommender, "build_shortcut", lambda *a: shortcuts.append(1) or real(*a))
    users = np.arange(USERS)
    with model.cached_scoring():
        before = [model.scores(history, users) for _ in range(3)]
    assert len(shortcuts) == 1
    with torch.no_grad():
        model.denoiser.input_weight.mul_(2)
    after = model.scores(history, users)
    assert not torch.allclose(after, before[0])
    torch.testing.assert_close(after, plain_scores(model, history), rtol=1e-5, atol=1e-5)
