"""The bridge: its marginals by simulation of the steps, its posterior by Bayes' rule."""

import numpy as np
import pytest
import torch

from diffrec.config.forecasting import BridgeConfig
from diffrec.diffusion.bridge import BridgeProcess, elbo_weights, past_shares
from diffrec.errors import UserError

CONFIGS = [
    BridgeConfig(num_steps=steps, schedule=schedule, noise_scale=0.7, end_noise=0.3)
    for steps in (2, 5, 40)
    for schedule in ("linear", "cosine")
]
configs = pytest.mark.parametrize("config", CONFIGS)


@configs
def test_the_past_share_rises_strictly_to_one(config):
    share = past_shares(config)
    assert share[-1] == 1
    assert share[0] > 0
    assert (np.diff(share) > 0).all()


def test_one_step_is_the_past_itself():
    process = BridgeProcess(BridgeConfig(end_noise=0.5))
    x_0, past, t = torch.randn(4, 3), torch.randn(4, 3), torch.zeros(4, dtype=torch.long)
    assert torch.equal(process.mix(x_0, past, t), past)
    assert process.noise_std.tolist() == [0.5]
    assert process.linear_steps() == ([0.0], [1.0])


@configs
def test_the_posterior_is_that_of_the_marginals(config):
    """By Bayes' rule from three Gaussians: W(s_{t-1}), W(s_t) of one Brownian motion, given x_0."""
    process = BridgeProcess(config)
    share, scale = past_shares(config), config.noise_scale
    before = np.concatenate(([0.0], share[:-1]))
    a, b = process.linear_steps()
    # Cov(W(a), W(b)) = scale^2 min(a, b): regression of x_{t-1} - x_0 on x_t - x_0
    slope = before / share
    np.testing.assert_allclose(a, slope, atol=1e-15)
    np.testing.assert_allclose(np.add(a, b), 1.0)
    variance = scale**2 * (before - before**2 / share)
    np.testing.assert_allclose(process.posterior_std.numpy() ** 2, variance, atol=1e-15)


@configs
def test_stepping_back_from_the_noisy_past_keeps_the_marginals(config):
    """Posterior steps with the true x_0 must walk through the forward marginals x_t of each t."""
    process = BridgeProcess(config)
    share, a = past_shares(config), process.linear_steps()[0]
    mean, variance = 1.0, config.end_noise**2  # of x_T, for x_0 = 0 and y = 1
    for t in range(config.num_steps - 1, 0, -1):
        np.testing.assert_allclose(mean, share[t], atol=1e-12)
        np.testing.assert_allclose(variance, process.noise_std[t].item() ** 2, atol=1e-12)
        mean *= a[t]
        variance = a[t] ** 2 * variance + process.posterior_std[t].item() ** 2
    np.testing.assert_allclose(mean, share[0], atol=1e-12)
    np.testing.assert_allclose(variance, process.noise_std[0].item() ** 2, atol=1e-12)


@configs
def test_elbo_weights_are_divergences_of_the_posterior_means(config):
    process = BridgeProcess(config)
    b = np.array(process.linear_steps()[1])[1:]
    variance = process.posterior_std.numpy()[1:] ** 2
    weights = elbo_weights(past_shares(config), config.noise_scale)
    assert weights[0] == 1
    np.testing.assert_allclose(weights[1:], b**2 / (2 * variance))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"noise_scale": 0.1}, "no effect with a single step"),
        ({"schedule": "cosine"}, "no effect with a single step"),
        ({"timestep_sampler": "importance"}, "no effect with a single step"),
        ({"num_steps": 3, "loss_weighting": "elbo"}, "needs a noise inside"),
        ({"num_steps": 3, "stochastic_sampling": True}, "needs a noise inside"),
        ({"num_steps": 0}, "num_steps >= 1"),
        ({"end_noise": -1.0}, "end_noise >= 0"),
    ],
)
def test_settings_without_effect_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        BridgeConfig(**values)
