from collections import deque

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import parity
from diffrec.diffusion.timesteps import (
    UNIFORM_SHARE,
    ImportanceTimestepSampler,
    UniformTimestepSampler,
)


def test_probabilities_equal_the_released_ones():
    case = parity.case("importance")
    history = torch.from_numpy(case["loss_history"])
    sampler = ImportanceTimestepSampler(len(history))
    sampler.history.copy_(history)
    sampler.seen.fill_(10)
    np.testing.assert_allclose(sampler.probabilities().numpy(), case["p_t"], rtol=1e-6)


def test_uniform_until_every_step_has_ten_losses():
    sampler = ImportanceTimestepSampler(3)
    for t in (0, 1):
        sampler.update(torch.full((10,), t), torch.arange(10.0))
    sampler.update(torch.full((9,), 2), torch.ones(9))
    assert sampler.probabilities().tolist() == pytest.approx([1 / 3] * 3)
    sampler.update(torch.tensor([2]), torch.ones(1))
    assert sampler.probabilities()[2] < 1 / 3


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.lists(st.integers(0, 4), max_size=40), min_size=1, max_size=6),
    st.integers(0, 99),
)
def test_memory_equals_a_queue_per_step(num_steps, batches, seed):
    rng = np.random.default_rng(seed)
    sampler = ImportanceTimestepSampler(num_steps)
    queues = [deque(maxlen=10) for _ in range(num_steps)]
    for batch in batches:
        t = torch.tensor([step % num_steps for step in batch], dtype=torch.long)
        loss = torch.from_numpy(rng.random(len(batch)))
        sampler.update(t, loss)
        for step, value in zip(t.tolist(), loss.tolist(), strict=True):
            queues[step].append(value)
    for step, queue in enumerate(queues):
        losses = sampler.history[step][: min(10, int(sampler.seen[step]))]
        assert sorted(losses.tolist()) == sorted(queue)


def test_dividing_by_importance_leaves_the_mean_loss_unchanged():
    torch.manual_seed(0)
    sampler = ImportanceTimestepSampler(4)
    losses = torch.tensor([1.0, 2.0, 8.0, 0.5], dtype=torch.float64)
    for t in range(4):
        sampler.update(torch.full((10,), t), losses[t].expand(10))
    drawn = sampler.sample(200_000)
    estimate = (losses[drawn.t] / drawn.importance).mean()
    assert float(estimate) == pytest.approx(float(losses.mean()), rel=0.01)
    expected = (1 - UNIFORM_SHARE) * losses / losses.sum() + UNIFORM_SHARE / 4
    torch.testing.assert_close(sampler.probabilities(), expected)


def test_all_losses_zero_is_uniform_and_finite():
    sampler = ImportanceTimestepSampler(2)
    for t in (0, 1):
        sampler.update(torch.full((10,), t), torch.zeros(10))
    assert sampler.probabilities().tolist() == [0.5, 0.5]


def test_uniform_sampler_covers_all_steps_with_importance_one():
    drawn = UniformTimestepSampler(5).sample(1000)
    assert set(drawn.t.tolist()) == set(range(5))
    assert set(drawn.importance.tolist()) == {1.0}


def test_memory_is_state():
    assert set(ImportanceTimestepSampler(3).state_dict()) == {"history", "seen"}
