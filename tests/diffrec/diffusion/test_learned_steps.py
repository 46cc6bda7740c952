"""The reproduction study's W: as its text describes it, as it was run, and what it can learn.

At given losses W's objective is sum_i L_i / p_(t_i), t drawn from p. With q_s proportional to the
root mean square of W's row s times its losses, and p = .999 q + .001 / T, its gradient with respect
to log W[s, j] is share[s, j] * q_s * .999 * (sum_u q_u m_u / p_u - m_s / p_s) / T, where m is the
mean loss of a step and share[s, j] the part of the j-th loss in the row's square. So it is zero for
every j of a row at once, where p is proportional to m.
"""

import numpy as np
import pytest
import torch

from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.diffusion.timesteps import (
    UNIFORM_SHARE,
    ImportanceTimestepSampler,
    LearnedTimestepSampler,
)
from diffrec.training.runs import build_run

AS_RUN = {"init": "uniform", "raw": True, "newest_last": True}
PARAMETRISATIONS = pytest.mark.parametrize("options", [{}, AS_RUN], ids=["as described", "as run"])
STEPS = 4


def filled(sampler, seed=0):
    """Fill the sampler's memory with losses of a different size and spread for each step."""
    rng = np.random.default_rng(seed)
    for t in range(sampler.num_steps):
        losses = (t + 1) * rng.lognormal(sigma=0.3 + t, size=sampler.window)
        sampler.update(torch.full((sampler.window,), t), torch.tensor(losses))
    return sampler


def expected_gradient(sampler, mean_loss):
    """Return the gradient of the expected loss with respect to W's parameter, by autograd."""
    p = sampler.probabilities()
    loss = (p.detach() * mean_loss / (p * sampler.num_steps)).sum()
    (parameter,) = sampler.parameters()
    (gradient,) = torch.autograd.grad(loss, parameter)
    return gradient * (parameter.detach() if parameter is sampler._parameters.get("weights") else 1)


@PARAMETRISATIONS
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_w_has_its_closed_form(options, seed):
    torch.manual_seed(seed)
    sampler = filled(LearnedTimestepSampler(STEPS, **options), seed)
    mean_loss = torch.rand(STEPS, dtype=torch.float64) + 0.1
    squares = sampler.weighted_history().detach().square()
    rms = squares.mean(dim=1).sqrt()
    q, p = rms / rms.sum(), sampler.probabilities().detach()
    of_row = q * (1 - UNIFORM_SHARE) * ((q * mean_loss / p).sum() - mean_loss / p) / STEPS
    share = squares / squares.sum(dim=1, keepdim=True)
    by_slot = (share * of_row[:, None]).sort(dim=1).values
    gradient = expected_gradient(sampler, mean_loss).sort(dim=1).values
    torch.testing.assert_close(gradient, by_slot, rtol=1e-9, atol=1e-12)


@PARAMETRISATIONS
def test_w_rests_where_p_is_proportional_to_the_mean_loss(options):
    torch.manual_seed(1)
    sampler = filled(LearnedTimestepSampler(STEPS, **options))
    mean_loss = torch.tensor([0.4, 3.0, 0.2, 1.0], dtype=torch.float64)
    target = (mean_loss / mean_loss.sum() - UNIFORM_SHARE / STEPS) / (1 - UNIFORM_SHARE)
    rms = sampler.weighted_history().detach().square().mean(dim=1).sqrt()
    factor = (target / rms)[:, None]
    with torch.no_grad():
        if options:
            sampler.weights.mul_(factor)
        else:
            sampler.log_weights.add_(factor.log())
    torch.testing.assert_close(sampler.probabilities().detach(), mean_loss / mean_loss.sum())
    assert float(expected_gradient(sampler, mean_loss).abs().max()) < 1e-12


@PARAMETRISATIONS
def test_w_cannot_tell_a_new_loss_from_an_old_one(options):
    torch.manual_seed(2)
    sampler = filled(LearnedTimestepSampler(STEPS, **options))
    gradient = expected_gradient(sampler, torch.tensor([0.4, 3.0, 0.2, 1.0], dtype=torch.float64))
    signs = gradient.sign()
    assert bool((signs == signs[:, :1]).all())  # a row rises or falls as a whole
    before = sampler.probabilities().detach()
    with torch.no_grad():  # the same losses in another order, W with them: nothing changes
        order = torch.randperm(sampler.window)
        sampler.history.copy_(sampler.history[:, order])
        slots = (-1 - order) % sampler.window
        column = sampler.window - 1 - slots if options else slots
        (parameter,) = sampler.parameters()
        now = (-1 - torch.arange(sampler.window)) % sampler.window
        now = sampler.window - 1 - now if options else now
        parameter[:, now] = parameter[:, column].clone()
    torch.testing.assert_close(sampler.probabilities().detach(), before)


def draw_losses(t, generator):
    """Return a loss for each step of t: means 1, 1 and 2; root mean squares 1, 1.345 and 2."""
    constant = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)[t]
    high = torch.rand(len(t), generator=generator, dtype=torch.float64) < 0.5
    return torch.where(t == 1, torch.where(high, 1.9, 0.1).to(torch.float64), constant)


def simulated(sampler, updates=600, batch=40):
    """Return the mean p of the second half of a training in which nothing but W learns."""
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(8)
    parameters = list(sampler.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.3) if parameters else None
    late = []
    for update in range(updates):
        timesteps = sampler.sample(batch)
        losses = draw_losses(timesteps.t, generator)
        sampler.update(timesteps.t, losses)
        loss = (losses / timesteps.importance).mean()
        if optimizer is not None and loss.requires_grad:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if update >= updates // 2:
            late.append(sampler.probabilities().detach())
    return torch.stack(late).mean(dim=0)


@PARAMETRISATIONS
def test_a_trained_w_samples_by_the_mean_loss_and_without_it_by_the_root_mean_square(options):
    torch.manual_seed(4)
    learned = simulated(LearnedTimestepSampler(3, **options))
    by_mean = torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64) / 4
    torch.testing.assert_close(learned, by_mean, atol=0.015, rtol=0)
    plain = simulated(ImportanceTimestepSampler(3))
    by_square = torch.tensor([1.0, 1.345, 2.0], dtype=torch.float64) / 4.345
    torch.testing.assert_close(plain, by_square, atol=0.015, rtol=0)


@pytest.fixture(scope="module")
def embedded():
    return load_dataset("embedded")


def test_the_reports_cell_has_w_as_it_was_recorded(embedded):
    config = preset("T-DiffRec+LTW", "embedded").config.replace_values({"training.eval_every": 2})
    run = build_run(config, embedded.tuning_split())
    sampler = run.model.timestep_sampler
    before = sampler.weights.detach().clone()
    assert bool(((before >= 0) & (before < 1)).all())
    assert 0.3 < float(before.mean()) < 0.7
    group = run.optimizer.param_groups[-1]
    assert [p is sampler.weights for p in group["params"]] == [True]
    assert (group["lr"], group["weight_decay"]) == (config.training.learning_rate, 0.0)
    moves = []
    step = run.optimizer.step

    def noting(*args, **kwargs):
        old = sampler.weights.detach().clone()
        step(*args, **kwargs)
        moves.append((sampler.weights.detach() - old).abs())

    run.optimizer.step = noting
    run.next_epoch()
    first = next(k for k, move in enumerate(moves) if bool(move.any()))
    count = first + 1  # Adam has counted the cold batches, whose gradient is zero
    moved = 0.1 / (1 - 0.9**count) * np.sqrt((1 - 0.999**count) / 0.001)
    np.testing.assert_allclose(moves[first], config.training.learning_rate * moved, rtol=1e-2)
    assert all(bool((move > 0).all()) for move in moves[first:])
    run.next_epoch()
    trajectory = run.weight_trajectory()
    assert trajectory["slots"] == list(range(9, -1, -1))
    np.testing.assert_allclose(trajectory["weights"][0], before, rtol=1e-4)
    inputs, target = run.model.training_weights(embedded.train)
    assert np.unique(inputs).size > 2  # histories carry the line all the time
    assert target is inputs


def test_the_newest_loss_is_at_index_nine():
    sampler = LearnedTimestepSampler(1, newest_last=True)
    for value in range(1, 14):  # the ring has gone round: 4 to 13 are kept
        sampler.update(torch.tensor([0]), torch.tensor([float(value)]))
    with torch.no_grad():
        sampler.log_weights[0, 9] = np.log(100)
    assert float(sampler.weighted_history().detach().max()) == pytest.approx(1300)


def test_w_leaves_the_network_at_the_start_as_it_is_without(embedded):
    split, states = embedded.tuning_split(), []
    for variant in ("T-DiffRec", "T-DiffRec+LTW"):
        run = build_run(preset(variant, "embedded").config, split)
        states.append(run.model.denoiser.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
