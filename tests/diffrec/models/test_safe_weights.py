"""Weights that do no harm: a curve that cannot fit noise, futures held back, a guard."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data.interactions import Interactions
from diffrec.models.monotone_recency import MonotoneRecencyCurve
from diffrec.models.query_choice import Query, QueryChoice
from diffrec.models.recency import NUM_KNOTS
from diffrec.training.futures_holdout import first_held_back, truncated


def histories(lengths) -> Interactions:
    pairs = [(user, item) for user, length in enumerate(lengths) for item in range(length)]
    return Interactions.from_pairs(np.array(pairs, dtype=np.int64).reshape(-1, 2), len(lengths), 60)


@given(st.floats(-20, 20), st.floats(-5, 5))
def test_the_monotone_curve_never_rises_and_starts_at_one(beta, log2_tau):
    curve = MonotoneRecencyCurve(1)
    with torch.no_grad():
        curve.shape.copy_(torch.tensor([[beta, log2_tau]]))
    knots = curve.knots()[0].detach()
    assert knots.shape == (NUM_KNOTS,)
    assert knots[0] == 1
    assert (knots[1:] <= knots[:-1]).all()
    assert (knots >= 0).all()


def test_it_starts_near_ones_and_the_prior_pulls_it_there():
    curve = MonotoneRecencyCurve(1)
    assert curve.knots().min() > 0.6
    with torch.no_grad():
        curve.shape += 5.0  # steep
    assert curve.knots()[0, 6] < 0.5
    optimizer = torch.optim.SGD(curve.parameters(), lr=0.5)
    for _ in range(500):
        optimizer.zero_grad()
        curve.penalty().backward()
        optimizer.step()
    assert curve.knots()[0, 6] > 0.85  # 63 items ago


def test_it_fits_what_free_curves_came_to_on_ml_1m():
    wanted = torch.tensor([1, 0.79, 0.63, 0.41, 0.28, 0.21, 0.16])
    curve = MonotoneRecencyCurve(1)
    optimizer = torch.optim.Adam(curve.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        (curve.knots()[0, :7] - wanted).square().sum().backward()
        optimizer.step()
    assert (curve.knots()[0, :7] - wanted).abs().max() < 0.06


def test_rows_have_the_binary_norm():
    history = histories([1, 5, 40])
    (weights,) = MonotoneRecencyCurve(1).all_rows(history)
    assert weights is not None
    squares = torch.zeros(3).index_add(0, torch.from_numpy(history.users()), weights.square())
    torch.testing.assert_close(squares, torch.tensor([1.0, 5.0, 40.0]), rtol=1e-5, atol=1e-5)


def test_a_choice_starts_plain_and_travels_with_the_state():
    choice = QueryChoice(2.0)
    assert choice.query == Query(is_weighted=False, scale=1.0) == choice.options[0]
    assert len(choice.options) == 4
    choice.choose(Query(is_weighted=True, scale=2.0))
    other = QueryChoice(2.0)
    other.load_state_dict(choice.state_dict())
    assert other.query == Query(is_weighted=True, scale=2.0)
    assert len(QueryChoice(1.0).options) == 2


@given(st.lists(st.integers(0, 30), min_size=1, max_size=10), st.integers(0, 5))
def test_held_back_futures_lose_no_user(lengths, seed):
    history = histories(lengths)
    held = np.arange(len(lengths)) % 2 == 0
    kept = first_held_back(history, held, seed)
    shown = truncated(history, kept)
    assert (shown.lengths[~held] == history.lengths[~held]).all()
    longer = held & (history.lengths >= 2)
    assert (shown.lengths[longer] < history.lengths[longer]).all()
    assert (shown.lengths[history.lengths > 0] > 0).all()
    for user in range(len(lengths)):
        assert (shown.items_of(user) == history.items_of(user)[: kept[user]]).all()


def test_the_cuts_are_the_seeds():
    history = histories([30] * 50)
    held = np.ones(50, dtype=bool)
    first, again = (first_held_back(history, held, 3) for _ in range(2))
    assert (first == again).all()
    assert (first != first_held_back(history, held, 4)).any()
    assert first.min() == pytest.approx(15, abs=2)
    assert first.max() <= 27
