"""Forecasting recommenders against straightforward versions of themselves."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from diffrec.config import AutoencoderConfig
from diffrec.config.forecasting import (
    BridgeConfig,
    ForecastDenoiserConfig,
    ForecastingConfig,
    ForecastTaskConfig,
)
from diffrec.data.cuts import CutSampler, WeightedRows
from diffrec.data.interactions import Interactions
from diffrec.errors import UserError
from diffrec.models.forecast_loss import multinomial_losses, sampled_multinomial_losses
from diffrec.models.forecasting import ForecastingRecommender

NUM_ITEMS, BATCH = 30, 16
SMALL = ForecastDenoiserConfig(hidden_dims=(7,))
CLUSTERS = np.arange(NUM_ITEMS) % 2


@pytest.fixture(scope="module")
def history() -> Interactions:
    rng = np.random.default_rng(0)
    pairs = [(u, i) for u in range(20) for i in rng.permutation(NUM_ITEMS)[: 3 + u % 15]]
    return Interactions.from_pairs(np.array(pairs), 20, NUM_ITEMS)


def build(seed: int = 1, **parts) -> ForecastingRecommender:
    torch.manual_seed(seed)
    config = ForecastingConfig(denoiser=parts.pop("denoiser", SMALL), **parts)
    model = ForecastingRecommender(config, NUM_ITEMS, CLUSTERS)
    with torch.no_grad():  # biases that matter
        model.denoiser.step_biases.normal_()
        model.denoiser.last.bias.normal_()
    return model


def latent(**values) -> AutoencoderConfig:
    return AutoencoderConfig(latent_dim=6, **values)


def test_one_step_without_noise_is_the_network_that_forecasts(history):
    """Loss and gradients equal those of the prototype, written over dense matrices with loops."""
    model = build().train()
    model.denoiser.dropout.p = 0.0
    task = model.config.forecast
    sampler = CutSampler(history, task)
    rng = np.random.default_rng(5)
    at = sampler.draw(BATCH, rng)
    cuts = sampler.cut(at, rng)

    rng = np.random.default_rng(5)  # the same draws: where to cut, then what to drop
    assert np.array_equal(sampler.draw(BATCH, rng), at)
    y, x_0, masked = (torch.zeros(BATCH, NUM_ITEMS) for _ in range(3))
    pasts = []
    for position in at:
        user = int(np.searchsorted(history.indptr, position, side="right")) - 1
        pasts.append((history.items_of(user), int(position - history.indptr[user]) + 1))
    uniform = iter(rng.random(sum(min(done, 32) for _, done in pasts)))
    for row, (items, done) in enumerate(pasts):
        for age in range(min(done, 32) - 1, -1, -1):  # oldest first
            if next(uniform) >= 0.2 or age == 0:
                y[row, items[done - 1 - age]] = 2.0 ** (-age / 5)
        for wait, item in enumerate(items[done:][:80]):
            x_0[row, item] = 2.0 ** (-wait / 8)
        masked[row, items[:done].tolist()] = -1e4
    x_0 /= x_0.sum(1, keepdim=True)
    denoiser = model.denoiser
    hidden = torch.tanh(y @ denoiser.input_rows + denoiser.step_biases[0])
    expected = -(F.log_softmax(denoiser.last(hidden) + masked, 1) * x_0).sum(1).mean()
    gradients = torch.autograd.grad(expected, list(model.parameters()))

    loss = model.cuts_loss(cuts, 0)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for actual, target in zip(
        torch.autograd.grad(loss, list(model.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(actual, target, rtol=1e-5, atol=1e-7)


def test_scores_of_one_step_are_the_network_at_the_end_of_the_history(history):
    model = build().eval()
    users = np.array([3, 0, 19])
    y = torch.zeros(3, NUM_ITEMS)
    for row, user in enumerate(users):
        items = history.items_of(user)
        for age, item in enumerate(items[::-1][:32]):
            y[row, item] = 2.0 ** (-age / 5)
    hidden = torch.tanh(y @ model.denoiser.input_rows + model.denoiser.step_biases[0])
    torch.testing.assert_close(model.scores(history, users), model.denoiser.last(hidden))


@pytest.mark.parametrize("seen", [True, False])
def test_the_multinomial_loss_and_its_gradient_are_those_of_log_softmax(seen, history):
    task = ForecastTaskConfig(mask_past=seen)
    sampler, rng = CutSampler(history, task), np.random.default_rng(1)
    cuts = sampler.cut(sampler.draw(BATCH, rng), rng)
    logits = torch.randn(BATCH, NUM_ITEMS, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(BATCH, dtype=torch.float64)
    x_0 = torch.zeros(BATCH, NUM_ITEMS, dtype=torch.float64)
    x_0[cuts.future.rows(), cuts.future.items] = torch.from_numpy(cuts.future.weights).double()
    masked = logits
    if cuts.seen is not None:
        cells = torch.from_numpy(cuts.seen.cells(NUM_ITEMS))
        masked = logits.reshape(-1).index_fill(0, cells, -1e9).view_as(logits)
    expected = -(F.log_softmax(masked, 1) * x_0).sum(1)
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), logits)
    future = cuts.future.__class__(
        cuts.future.indptr, cuts.future.items, cuts.future.weights.astype(np.float64)
    )
    used = logits.detach().clone().requires_grad_()
    losses = multinomial_losses(used * 1.0, future, cuts.seen)
    torch.testing.assert_close(losses, expected)
    (gradient,) = torch.autograd.grad((losses * weight).sum(), used)
    torch.testing.assert_close(gradient, expected_gradient)


def test_with_all_others_drawn_the_sampled_loss_is_the_whole_one(history):
    sampler, rng = CutSampler(history, ForecastTaskConfig()), np.random.default_rng(1)
    cuts = sampler.cut(sampler.draw(BATCH, rng), rng)
    last, hidden = nn.Linear(5, NUM_ITEMS), torch.randn(BATCH, 5, requires_grad=True)
    full = multinomial_losses(last(hidden), cuts.future, cuts.seen)
    expected = torch.autograd.grad(full.mean(), [hidden, *last.parameters()])
    drawn = sampled_multinomial_losses(hidden, last, cuts.future, cuts.seen, NUM_ITEMS)
    torch.testing.assert_close(drawn, full)
    gradients = torch.autograd.grad(drawn.mean(), [hidden, *last.parameters()])
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_the_sampled_normaliser_is_unbiased():
    """One row that predicts item 0: exp(loss + logit_0) is the estimate of the sum of exp."""
    torch.manual_seed(0)
    last, hidden = nn.Linear(4, 50), torch.randn(1, 4)
    one = WeightedRows(np.array([0, 1]), np.array([0]), np.ones(1, dtype=np.float32))
    seen = WeightedRows(np.array([0, 2]), np.array([7, 9]), np.ones(2, dtype=np.float32))
    with torch.no_grad():
        logits = last(hidden)[0]
        candidates = [i for i in range(50) if i not in (7, 9)]
        total = logits[candidates].exp().sum().item()
        estimates = [
            (sampled_multinomial_losses(hidden, last, one, seen, 5) + logits[0]).exp().item()
            for _ in range(4000)
        ]
    assert np.std(estimates) > 0
    assert np.mean(estimates) == pytest.approx(total, rel=0.02)


def plain_chain(model: ForecastingRecommender, past: torch.Tensor, seen: torch.Tensor):
    """Run the chain on dense x_t, step by step as in the module's docstring."""
    config, denoiser = model.config, model.denoiser
    shares = [0.0, *model.process.past_share.tolist()]
    x_t = past
    for t in range(config.bridge.num_steps, 0, -1):
        step = torch.full((len(x_t),), t - 1)
        output = denoiser(x_t @ denoiser.input_rows, step)
        x_0_hat = output
        if config.autoencoder is None and config.forecast.loss == "multinomial":
            x_0_hat = F.softmax(output.masked_fill(seen, -torch.inf), 1)
        elif config.autoencoder is None:
            x_0_hat = output.masked_fill(seen, 0.0)
        keep = shares[t - 1] / shares[t]
        x_t = keep * x_t + (1 - keep) * x_0_hat
    return output


@pytest.mark.parametrize("loss", ["multinomial", "squared_error"])
@pytest.mark.parametrize("mask_past", [True, False])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_chain_over_hidden_products_is_the_chain_over_items(loss, mask_past, schedule, history):
    model = build(
        forecast=ForecastTaskConfig(loss=loss, mask_past=mask_past),
        bridge=BridgeConfig(num_steps=5, schedule=schedule),
        denoiser=ForecastDenoiserConfig(hidden_dims=(5, 7)),
    ).eval()
    assert model.is_collapsible == (loss == "squared_error" and not mask_past)
    users = np.arange(20)
    past, seen = torch.zeros(20, NUM_ITEMS), torch.zeros(20, NUM_ITEMS, dtype=torch.bool)
    for user in users:
        for age, item in enumerate(history.items_of(user)[::-1][:32]):
            past[user, item] = 2.0 ** (-age / 5)
        seen[user, history.items_of(user).tolist()] = mask_past
    expected = plain_chain(model, past, seen)
    torch.testing.assert_close(model.scores(history, users), expected, rtol=1e-4, atol=1e-5)
    with model.cached_scoring():
        torch.testing.assert_close(model.scores(history, users), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_steps", [1, 5])
def test_the_latent_chain_collapses_to_the_same_scores(num_steps, history):
    model = build(autoencoder=latent(), bridge=BridgeConfig(num_steps=num_steps)).eval()
    assert model.autoencoder is not None
    assert model.is_collapsible
    users = np.arange(20)
    past = torch.zeros(20, NUM_ITEMS)
    for user in users:
        for age, item in enumerate(history.items_of(user)[::-1][:32]):
            past[user, item] = 2.0 ** (-age / 5)
    z = model.autoencoder.encode(past).latent
    expected = model.autoencoder.decode(plain_chain(model, z, torch.zeros(1, 1)))
    torch.testing.assert_close(model.scores(history, users), expected, rtol=1e-4, atol=1e-5)


def test_noise_makes_x_t_what_the_process_says(history):
    """With an identity as first layer the network sees x_t: its moments over many draws."""
    model = build(
        bridge=BridgeConfig(num_steps=4, noise_scale=0.3, end_noise=0.2),
        denoiser=ForecastDenoiserConfig(hidden_dims=(NUM_ITEMS,), dropout=0.0),
        forecast=ForecastTaskConfig(past_dropout=0.0),
    )
    with torch.no_grad():
        model.denoiser.input_rows.copy_(torch.eye(NUM_ITEMS))
        model.denoiser.step_biases.zero_()
    sampler, rng = CutSampler(history, model.config.forecast), np.random.default_rng(0)
    one = sampler.cut(np.repeat(sampler.draw(1, rng), 4000), rng)
    firsts, steps = [], []
    model.denoiser.register_forward_pre_hook(lambda _, inputs: firsts.append(inputs[0].detach()))
    model.denoiser.register_forward_pre_hook(lambda _, inputs: steps.append(inputs[1]))
    model.cuts_loss(one, 0)
    past, future = torch.zeros(2, NUM_ITEMS)
    past[one.past.items[one.past.rows() == 0]] = torch.from_numpy(
        one.past.weights[one.past.rows() == 0]
    )
    future[one.future.items[one.future.rows() == 0]] = torch.from_numpy(
        one.future.weights[one.future.rows() == 0]
    )
    for t in range(4):
        rows, share = firsts[0][steps[0] == t], (t + 1) / 4
        assert len(rows) > 800
        torch.testing.assert_close(
            rows.mean(0), (1 - share) * future + share * past, atol=0.05, rtol=0
        )
        assert rows.std(0).mean().item() == pytest.approx(
            np.sqrt(0.09 * share * (1 - share) + 0.04 * share**2), rel=0.03
        )


def test_a_stochastic_chain_belongs_to_its_user_and_to_the_seed(history):
    bridge = BridgeConfig(num_steps=3, noise_scale=0.5, stochastic_sampling=True)
    model = build(bridge=bridge).eval()
    together = model.scores(history, np.array([4, 7]))
    alone = model.scores(history, np.array([7]))
    torch.testing.assert_close(together[1:], alone)
    calm = build(bridge=BridgeConfig(num_steps=3, noise_scale=0.5)).eval()
    assert not torch.allclose(calm.scores(history, np.array([7])), alone)


def test_an_empty_history_is_scored_by_the_biases_alone():
    model = build().eval()
    empty = Interactions(1, NUM_ITEMS, np.zeros(2, np.int64), np.zeros(0, np.int32))
    hidden = torch.tanh(model.denoiser.step_biases)
    torch.testing.assert_close(model.scores(empty, np.array([0])), model.denoiser.last(hidden))


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            {"autoencoder": latent(), "forecast": ForecastTaskConfig(loss="squared_error")},
            "multinomial likelihood",
        ),
        (
            {"autoencoder": latent(), "forecast": ForecastTaskConfig(num_negatives=5)},
            "decodes all items",
        ),
        (
            {"bridge": BridgeConfig(num_steps=2, noise_scale=1.0, loss_weighting="elbo")},
            "weighted squared error",
        ),
    ],
)
def test_combinations_without_a_meaning_are_refused(parts, sentence):
    with pytest.raises(UserError, match=sentence):
        ForecastingConfig(**parts)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"past_items": 0}, "past_items >= 1"),
        ({"past_half_life": 0.0}, "past_half_life > 0"),
        ({"past_dropout": 1.0}, "past_dropout < 1"),
        ({"num_negatives": 5, "loss": "squared_error"}, "num_negatives` estimates"),
        ({"num_negatives": 0}, "num_negatives >= 1"),
        ({"past_items": 1}, "no effect with `forecast.past_items` = 1"),
    ],
)
def test_tasks_without_a_meaning_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        ForecastTaskConfig(**values)
