"""What every variant must do, run against each of them."""

import numpy as np
import pytest
import torch

from diffrec.config import RecommenderConfig
from diffrec.config.presets import VARIANTS, preset
from diffrec.data.batches import dense_rows
from diffrec.data.interactions import Interactions
from diffrec.diffusion.timesteps import ImportanceTimestepSampler
from diffrec.models.recommender import DiffusionRecommender
from diffrec.training.factory import build_optimizer

USERS, ITEMS = 40, 18
SMALL = {"denoiser.hidden_dims": [16, 12]}
SMALL_LATENT = {"autoencoder.latent_dim": 8, "denoiser.hidden_dims": [6]}


def planted(users: int = USERS) -> Interactions:
    """Two communities: even users like the first half of the items, odd users the second."""
    rng = np.random.default_rng(0)
    pairs = [
        (user, item + (ITEMS // 2) * (user % 2))
        for user in range(users)
        for item in rng.permutation(ITEMS // 2)[:6]
    ]
    return Interactions.from_pairs(np.array(pairs), users, ITEMS)


def small_config(variant: str, **changes) -> RecommenderConfig:
    config = preset(variant, "embedded").config
    sizes = SMALL_LATENT if config.autoencoder is not None else SMALL
    return config.replace_values(sizes | {k.replace("__", "."): v for k, v in changes.items()})


def build(config: RecommenderConfig) -> DiffusionRecommender:
    torch.manual_seed(0)
    ids = np.arange(ITEMS) % 2 if config.autoencoder else None
    return DiffusionRecommender(config, ITEMS, ids)


def batch(model: DiffusionRecommender, history: Interactions):
    rows = np.arange(history.num_users)
    inputs, targets = model.training_weights(history)
    x_0 = torch.from_numpy(dense_rows(history, rows, inputs))
    return x_0, x_0 if inputs is targets else torch.from_numpy(dense_rows(history, rows, targets))


variants = pytest.mark.parametrize("variant", VARIANTS)


@variants
def test_scores_have_a_number_per_user_and_item(variant):
    model = build(small_config(variant)).eval()
    scores = model.scores(planted(), np.array([3, 1, 2]))
    assert scores.shape == (3, ITEMS)
    assert bool(scores.isfinite().all())


@variants
def test_scores_of_a_user_do_not_depend_on_the_batch(variant):
    model = build(small_config(variant)).eval()
    together = model.scores(planted(), np.arange(USERS))
    alone = model.scores(planted(), np.array([7]))
    torch.testing.assert_close(together[7:8], alone, rtol=1e-4, atol=1e-6)


@variants
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"diffusion__prediction_target": "epsilon"},
        {"diffusion__loss_weighting": "uniform"},
        {"diffusion__timestep_sampler": "uniform"},
        {"diffusion__num_steps": 1},
        {"denoiser__normalize_input": True},
        {"diffusion__num_inference_noise_steps": 2},
        {"diffusion__stochastic_sampling": True},
        {
            "diffusion__noise_scale": 0.0,
            "diffusion__loss_weighting": "uniform",
        },
    ],
    ids=str,
)
def test_training_lowers_the_loss_and_finds_the_communities(variant, changes):
    config = small_config(variant, training__learning_rate=0.01, **changes)
    if config.autoencoder is not None:
        config = config.replace_values(
            {
                "autoencoder.learning_rate": 0.02,
                "autoencoder.kl_weight_max": 0.0,
            }
        )
    if config.autoencoder is not None and config.diffusion.loss_weighting == "uniform":
        # then the weight is the likelihood's, and 0.03 of it lets the latent shrink to nothing
        config = config.replace_values({"autoencoder.diffusion_weight": 1.0})
    model, history = build(config), planted()
    optimizer = build_optimizer(config, model)
    x_0, target = batch(model, history)
    losses = []
    for epoch in range(100):
        loss = model.training_loss(x_0, target, epoch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    model.eval()
    scores = model.scores(history, np.arange(USERS))
    half = ITEMS // 2
    own_half = torch.where(
        torch.arange(USERS)[:, None] % 2 == 0, scores[:, :half], scores[:, half:]
    )
    other = torch.where(torch.arange(USERS)[:, None] % 2 == 0, scores[:, half:], scores[:, :half])
    assert float((own_half.mean(1) > other.mean(1)).double().mean()) > 0.9


@variants
def test_the_collapsed_chain_scores_like_the_plain_one(variant):
    model = build(small_config(variant, diffusion__num_steps=7)).eval()
    users = np.arange(USERS)
    fast = model.scores(planted(), users)
    x_0 = torch.from_numpy(dense_rows(planted(), users, model.training_weights(planted())[0]))
    with torch.no_grad():
        if model.autoencoder is None:
            plain = model.process.reverse_chain(model.denoiser, x_0)
        else:
            latent = model.autoencoder.encode(x_0).latent
            plain = model.autoencoder.decode(model.process.reverse_chain(model.denoiser, latent))
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@variants
def test_state_is_complete(variant):
    model, history = build(small_config(variant)), planted()
    x_0, target = batch(model, history)
    for epoch in range(3):
        model.training_loss(x_0, target, epoch)
    torch.manual_seed(99)
    config = small_config(variant)
    ids = np.zeros(ITEMS, dtype=np.int64)
    ids[::2] = 1  # other clusters of the same sizes: the state must bring its own
    other = DiffusionRecommender(config, ITEMS, ids if config.autoencoder else None)
    other.load_state_dict(model.state_dict())
    assert isinstance(other.timestep_sampler, ImportanceTimestepSampler)
    assert torch.equal(other.timestep_sampler.seen, model.timestep_sampler.seen)
    assert int(other.batches_seen) == 3
    users = np.arange(USERS)
    model.eval(), other.eval()
    torch.testing.assert_close(other.scores(history, users), model.scores(history, users))


@variants
def test_every_parameter_is_optimised_once_and_moves(variant):
    # the released Adagrad for the autoencoder optimised the denoiser
    config = small_config(variant)
    model = build(config)
    optimizer = build_optimizer(config, model)
    owned = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in owned} == {id(p) for p in model.parameters()}
    assert len(owned) == len(list(model.parameters()))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.training_loss(*batch(model, planted()), 0).backward()
    optimizer.step()
    still = [n for n, p in model.named_parameters() if torch.equal(before[n], p)]
    assert not still


def test_parts_have_their_own_learning_rates():
    config = small_config("L-DiffRec", autoencoder__learning_rate=0.5)
    rates = [group["lr"] for group in build_optimizer(config, build(config)).param_groups]
    assert rates == [config.training.learning_rate, 0.5]


def test_weights_of_the_latent_variant_anneal_by_their_units():
    # epochs for the diffusion weight, batches for the KL weight: a port once mixed them up
    config = small_config(
        "L-DiffRec",
        autoencoder__diffusion_weight=0.1,
        autoencoder__diffusion_weight_anneal_epochs=10,
    )
    model = build(config)
    falling = [model.annealing(e, model.batches_seen).diffusion for e in (0, 5, 50)]
    assert falling == pytest.approx([0.1, 0.05, 0.005])
    x_0, target = batch(model, planted())
    weights = []
    for _ in range(3):
        model.training_loss(x_0, target, 0)
        weights.append(float(model.annealing(0, model.batches_seen).kl))
    assert weights == pytest.approx([0, 1 / 200, 2 / 200])
    model.batches_seen.fill_(10_000)
    assert float(model.annealing(0, model.batches_seen).kl) == pytest.approx(0.3)


def test_published_variants_differ_in_the_pinned_first_beta():
    pinned = {v: preset(v, "ml-1m_clean").config.diffusion.pin_first_beta for v in VARIANTS}
    assert pinned == {"DiffRec": True, "T-DiffRec": True, "L-DiffRec": False, "LT-DiffRec": False}
