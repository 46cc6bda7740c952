import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import parity
from diffrec.config import DiffusionConfig
from diffrec.diffusion import schedules
from diffrec.diffusion.process import GaussianProcess, elbo_weights
from diffrec.errors import UserError

RELEASED_NAMES = {"linear-var": "linear_variance"}


def released_config(args, **changes) -> DiffusionConfig:
    name = RELEASED_NAMES.get(args["noise_schedule"], args["noise_schedule"])
    bounded = name.startswith("linear")
    return DiffusionConfig(
        num_steps=args["steps"],
        beta_schedule=name,
        noise_scale=args["noise_scale"] if bounded else None,
        noise_min=args["noise_min"] if bounded else None,
        noise_max=args["noise_max"] if bounded else None,
        **changes,
    )


@pytest.mark.parametrize("name", parity.cases("schedule"))
def test_schedule_equals_the_released_one(name):
    case = parity.case(name)
    process = GaussianProcess(released_config(case["args"]))
    beta = schedules.betas(released_config(case["args"]))
    ours = {
        "betas": beta,
        "alphas_cumprod": process.alpha_bar.numpy(),
        "posterior_variance": process.posterior_variance.numpy(),
        "posterior_mean_coef1": process.posterior_coef_x_0.numpy(),
        "posterior_mean_coef2": process.posterior_coef_x_t.numpy(),
        "elbo_weight_x0": elbo_weights(beta, "x_0"),
        "elbo_weight_eps": elbo_weights(beta, "epsilon"),
    }
    for key, value in ours.items():
        np.testing.assert_allclose(value, case[key], rtol=1e-6, err_msg=key)


bounds = st.tuples(st.floats(1e-5, 0.3), st.floats(1e-5, 0.3)).map(sorted)


@given(steps=st.integers(1, 60), scale=st.floats(1e-3, 1), low_high=bounds)
def test_linear_variance_gives_the_line_that_was_asked_for(steps, scale, low_high):
    low, high = low_high
    beta = schedules.linear_variance_schedule(steps, scale=scale, low=low, high=high)
    line = scale * np.linspace(low, high, steps)
    np.testing.assert_allclose(1 - np.cumprod(1 - beta), line, rtol=1e-6, atol=1e-12)


@given(
    schedule=st.sampled_from(["linear", "linear_variance", "cosine", "binomial"]),
    steps=st.integers(1, 60),
    scale=st.floats(1e-3, 1),
    low_high=bounds,
    pinned=st.booleans(),
)
def test_posterior_obeys_its_identities(schedule, steps, scale, low_high, pinned):
    noise = (
        {"noise_scale": scale, "noise_min": low_high[0], "noise_max": low_high[1]}
        if schedule.startswith("linear")
        else {"noise_scale": None, "noise_min": None, "noise_max": None}
    )
    config = DiffusionConfig(
        num_steps=steps, beta_schedule=schedule, pin_first_beta=pinned, **noise
    )
    process = GaussianProcess(config)
    beta = schedules.betas(config)
    alpha_bar = process.alpha_bar.numpy()
    before = np.concatenate(([1.0], alpha_bar[:-1]))
    c_0, c_t = process.posterior_coef_x_0.numpy(), process.posterior_coef_x_t.numpy()
    # the posterior mean of a noiseless x_t = sqrt(alpha_bar_t) x_0 is sqrt(alpha_bar_{t-1}) x_0
    np.testing.assert_allclose(c_0 + c_t * np.sqrt(alpha_bar), np.sqrt(before), rtol=1e-6)
    variance = process.posterior_variance.numpy()
    assert (variance >= 0).all()
    assert (variance <= beta + 1e-15).all()
    assert variance[0] == 0
    assert (np.diff(alpha_bar) <= 0).all()


@given(steps=st.integers(2, 60), scale=st.floats(1e-3, 1), low=st.floats(1e-4, 0.1))
def test_signal_falls_and_elbo_weights_are_positive(steps, scale, low):
    beta = schedules.linear_variance_schedule(steps, scale=scale, low=low, high=3 * low)
    alpha_bar = np.cumprod(1 - beta)
    assert (np.diff(alpha_bar / (1 - alpha_bar)) < 0).all()
    for target in ("x_0", "epsilon"):
        assert (elbo_weights(beta, target) > 0).all()
        assert elbo_weights(beta, target)[0] == 1


def test_cosine_is_capped():
    assert schedules.cosine_schedule(50).max() == schedules.MAX_BETA


def test_exchanged_bounds_are_refused():  # the released run script had them exchanged
    with pytest.raises(UserError, match="exchange"):
        schedules.linear_schedule(5, scale=1, low=0.2, high=0.1)


def test_no_noise_is_the_limit_of_little_noise():
    config = DiffusionConfig(noise_scale=0, loss_weighting="uniform")
    process = GaussianProcess(config)
    assert process.alpha_bar.tolist() == [1.0] * 5
    assert process.posterior_coef_x_0.tolist() == [1.0] * 5
    assert process.posterior_coef_x_t.tolist() == [0.0] * 5
