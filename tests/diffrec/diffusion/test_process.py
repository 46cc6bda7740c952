import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import parity
from diffrec.config import DenoiserConfig, DiffusionConfig
from diffrec.diffusion.chain import build_shortcut, collapsed_chain, finish_chain
from diffrec.diffusion.process import GaussianProcess
from diffrec.models.denoiser import Denoiser
from released import load_denoiser, released_diffusion


@pytest.mark.parametrize("name", parity.cases("diffusion"))
def test_diffusion_equals_the_released_one(name):
    case = parity.case(name)
    process, denoiser = released_diffusion(case["args"])
    load_denoiser(denoiser, case)
    denoiser.eval()
    x_0, t, noise = (torch.from_numpy(case[k]) for k in ("x_0", "t", "noise"))
    with torch.no_grad():
        x_t = process.q_sample(x_0, t, noise)
        output = denoiser(x_t, t)
        chain = process.reverse_chain(denoiser, x_0)
        loss = process.training_loss(denoiser, x_0, x_0, t, noise, wants_x_0_hat=False).per_row
    expected = {
        "x_t": x_t,
        "model_output": output,
        "x_0_hat_sampling_steps_0": chain,
        "loss_reweight": loss,
    }
    for key, value in expected.items():
        np.testing.assert_allclose(value.numpy(), case[key], rtol=1e-5, atol=2e-6, err_msg=key)


@st.composite
def small_models(draw):
    target = draw(st.sampled_from(["x_0", "epsilon"]))
    low = draw(st.floats(1e-3, 0.1))
    diffusion = DiffusionConfig(
        num_steps=draw(st.integers(1, 12)),
        beta_schedule=draw(st.sampled_from(["linear", "linear_variance"])),
        noise_scale=draw(st.floats(0.05, 1)),
        noise_min=low,
        noise_max=2 * low,
        pin_first_beta=draw(st.booleans()),
        prediction_target=target,
    )
    hidden = tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    torch.manual_seed(draw(st.integers(0, 1000)))
    denoiser = Denoiser(draw(st.integers(1, 15)), DenoiserConfig(hidden_dims=hidden))
    return GaussianProcess(diffusion), denoiser.double().eval()


@settings(max_examples=60, deadline=None)
@given(small_models(), st.booleans())
def test_collapsed_chain_equals_the_plain_chain(models, differs_by_step):
    process, denoiser = models
    histories = torch.rand(process.num_steps, 4, denoiser.dim, dtype=torch.float64)
    with torch.no_grad():
        products = F.linear(histories, denoiser.input_weight)
        see, seen = (histories.__getitem__, products) if differs_by_step else (None, None)
        plain = process.reverse_chain(denoiser, histories[-1], see)
        end = collapsed_chain(
            process, denoiser, products[-1], build_shortcut(process, denoiser), seen
        )
        collapsed = finish_chain(denoiser, end, histories[0 if differs_by_step else -1])
    torch.testing.assert_close(collapsed, plain, rtol=1e-6, atol=1e-6 * float(plain.abs().max()))


@settings(max_examples=30, deadline=None)
@given(small_models())
def test_each_step_sees_its_own_history_in_the_share_that_is_left_of_it(models):
    process, denoiser = models
    histories = torch.rand(process.num_steps, 4, denoiser.dim, dtype=torch.float64)
    a, b = process.linear_steps()
    with torch.no_grad():
        # x_t = share * history_t + rest, the two carried apart
        share, shift = 1.0, torch.zeros(4, denoiser.dim, dtype=torch.float64)
        for step in reversed(range(process.num_steps)):
            output = denoiser(share * histories[step] + shift, torch.full((4,), step))
            shift = a[step] * shift + b[step] * output
            share = share * a[step]
        x_0_hat = process.reverse_chain(denoiser, histories[-1], histories.__getitem__)
    expected = share * histories[0] + shift
    torch.testing.assert_close(
        x_0_hat, expected, rtol=1e-6, atol=1e-6 * float(expected.abs().max())
    )


def test_forward_samples_have_the_stated_mean_and_variance():
    process = GaussianProcess(DiffusionConfig(noise_scale=0.5, noise_min=0.1, noise_max=0.9))
    torch.manual_seed(0)
    n, t = 100_000, torch.tensor([3])
    x_0 = torch.ones(n, 1)
    x_t = process.q_sample(x_0, t.expand(n), torch.randn(n, 1))
    alpha_bar = float(process.alpha_bar[3])
    standard_error = ((1 - alpha_bar) / n) ** 0.5
    assert abs(float(x_t.mean()) - alpha_bar**0.5) < 4 * standard_error
    variance_error = (1 - alpha_bar) * (2 / n) ** 0.5
    assert abs(float(x_t.var()) - (1 - alpha_bar)) < 4 * variance_error


@pytest.mark.parametrize("weighting", ["elbo", "uniform"])
@pytest.mark.parametrize("target", ["x_0", "epsilon"])
def test_every_loss_branch_gives_a_loss_per_row(weighting, target):
    # the released switch for uniform weights left `loss` unbound
    process = GaussianProcess(DiffusionConfig(loss_weighting=weighting, prediction_target=target))
    denoiser = Denoiser(7, DenoiserConfig(hidden_dims=(4,), dropout=0.0))
    x_0, noise = torch.rand(5, 7), torch.randn(5, 7)
    gradients = []
    for wants in (True, False):
        loss = process.training_loss(
            denoiser, x_0, x_0, torch.arange(5), noise.clone(), wants_x_0_hat=wants
        )
        assert loss.per_row.shape == (5,)
        assert bool((loss.per_row > 0).all())
        assert (loss.x_0_hat.shape == (5, 7)) if wants else (loss.x_0_hat is None)
        gradients.append(torch.autograd.grad(loss.per_row.sum(), list(denoiser.parameters())))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("wants", [True, False])
def test_a_perfect_estimate_has_no_loss_and_no_gradient(wants):
    process = GaussianProcess(DiffusionConfig())
    x_0 = torch.rand(5, 7)
    output = x_0.clone().requires_grad_()
    loss = process.training_loss(
        lambda x, t: output * 1, x_0, x_0, torch.arange(5), torch.randn(5, 7), wants_x_0_hat=wants
    )
    loss.per_row.sum().backward()
    assert torch.equal(loss.per_row, torch.zeros(5))
    assert torch.equal(output.grad, torch.zeros(5, 7))


def test_uniform_weights_are_the_plain_squared_error():
    process = GaussianProcess(DiffusionConfig(loss_weighting="uniform"))
    x_0, noise = torch.rand(5, 7), torch.randn(5, 7)
    loss = process.training_loss(
        lambda x, t: x, x_0, x_0, torch.arange(5), noise.clone(), wants_x_0_hat=True
    )
    x_t = process.q_sample(x_0, torch.arange(5), noise)
    torch.testing.assert_close(loss.per_row, (x_0 - x_t).square().mean(1))


def test_stochastic_chain_adds_noise_except_on_the_last_step():
    config = DiffusionConfig(num_steps=1, stochastic_sampling=True)
    x_t = torch.rand(3, 4)
    network = lambda x, t: 0.5 * x  # noqa: E731
    one_step = GaussianProcess(config)
    torch.testing.assert_close(one_step.reverse_chain(network, x_t), 0.5 * x_t)
    many = GaussianProcess(DiffusionConfig(num_steps=5, stochastic_sampling=True))
    torch.manual_seed(0)
    first, second = many.reverse_chain(network, x_t), many.reverse_chain(network, x_t)
    assert not torch.equal(first, second)


def test_coefficients_are_state():
    state = GaussianProcess(DiffusionConfig()).state_dict()
    assert {"alpha_bar", "posterior_coef_x_0", "posterior_coef_x_t", "loss_weight"} <= set(state)
