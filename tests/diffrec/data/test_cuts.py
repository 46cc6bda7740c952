"""Cuts of histories: what the vectorised sampler yields, against loops over users."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.config.forecasting import ForecastTaskConfig
from diffrec.data.cuts import CutSampler, query_rows
from diffrec.data.interactions import Interactions
from diffrec.errors import UserError

NUM_ITEMS = 40
lengths = st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(lambda n: max(n) >= 2)


def histories(lengths: list[int], num_items: int = NUM_ITEMS) -> Interactions:
    rng = np.random.default_rng(sum(lengths))
    pairs = [
        (user, item)
        for user, length in enumerate(lengths)
        for item in rng.permutation(num_items)[:length]
    ]
    return Interactions.from_pairs(
        np.array(pairs, dtype=np.int64).reshape(-1, 2), len(lengths), num_items
    )


def dense(rows, num_items: int = NUM_ITEMS) -> np.ndarray:
    full = np.zeros((rows.num_rows, num_items))
    full[rows.rows(), rows.items] = rows.weights
    return full


def weight(age: int, half_life: float) -> float:
    return 0.5 ** (age / half_life)


@given(
    lengths,
    st.sampled_from(["interactions", "users", "fixed"]),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([0.5, 3.0, 1e6]),
)
def test_a_cut_is_the_weighted_past_and_the_discounted_future(
    lengths, cuts, past_items, future_items, half_life
):
    task = ForecastTaskConfig(
        cuts=cuts,
        past_items=past_items,
        future_items=future_items,
        past_dropout=0.0,
        past_half_life=half_life,
        future_half_life=half_life,
    )
    history = histories(lengths)
    sampler, rng = CutSampler(history, task), np.random.default_rng(0)
    at = sampler.draw(20, rng)
    sampled = sampler.cut(at, rng)
    past, future, seen = np.zeros((3, 20, NUM_ITEMS))
    for row, position in enumerate(at):
        user = next(u for u in range(len(lengths)) if position < history.indptr[u + 1])
        items = history.items_of(user)
        done = int(position - history.indptr[user]) + 1
        assert 1 <= done < len(items)
        for age, item in enumerate(items[:done][::-1][:past_items]):
            past[row, item] = weight(age, half_life)
        for wait, item in enumerate(items[done:][:future_items]):
            future[row, item] = weight(wait, half_life)
        seen[row, items[:done]] = 1
        future[row] /= future[row].sum()
    np.testing.assert_allclose(dense(sampled.past), past, rtol=1e-6)
    np.testing.assert_allclose(dense(sampled.future), future, rtol=1e-6)
    assert sampled.seen is not None
    np.testing.assert_array_equal(dense(sampled.seen), seen)


def test_cuts_by_interactions_fall_on_every_place_with_a_successor_alike():
    history = histories([0, 1, 2, 30, 0, 5])
    sampler = CutSampler(history, ForecastTaskConfig())
    at = sampler.draw(68_000, np.random.default_rng(1))
    counts = np.bincount(at, minlength=history.nnz)
    expected = np.ones(history.nnz)
    expected[history.indptr[1:][history.lengths > 0] - 1] = 0  # no successor
    assert ((counts > 0) == (expected > 0)).all()
    assert np.abs(counts[counts > 0] / 2000 - 1).max() < 0.1


def test_cuts_by_users_give_short_histories_the_same_say():
    history = histories([2, 30])
    at = CutSampler(history, ForecastTaskConfig(cuts="users")).draw(
        10_000, np.random.default_rng(1)
    )
    assert abs((at < history.indptr[1]).mean() - 0.5) < 0.03


def test_fixed_cuts_leave_a_fifth_of_each_history():
    history = histories([2, 3, 30])
    at = CutSampler(history, ForecastTaskConfig(cuts="fixed")).draw(300, np.random.default_rng(1))
    assert set(at - history.indptr[np.searchsorted(history.indptr, at, "right") - 1] + 1) == {
        1,
        2,
        24,
    }


def test_the_newest_interaction_is_never_dropped_and_others_at_the_rate():
    history = histories([30, 30])
    task = ForecastTaskConfig(past_dropout=0.5)
    sampler, rng = CutSampler(history, task), np.random.default_rng(2)
    at = sampler.draw(4000, rng)
    full = CutSampler(history, ForecastTaskConfig(past_dropout=0.0)).cut(at, rng).past
    past = sampler.cut(at, rng).past
    assert (past.items[past.indptr[1:] - 1] == history.indices[at]).all()
    share = (len(past.items) - len(at)) / (len(full.items) - len(at))
    assert abs(share - 0.5) < 0.02


def test_parts_of_a_batch_are_its_rows():
    history = histories([5, 9, 30])
    sampler, rng = CutSampler(history, ForecastTaskConfig()), np.random.default_rng(3)
    cuts = sampler.cut(sampler.draw(10, rng), rng)
    halves = [cuts.part(0, 4), cuts.part(4, 10)]
    for full, parts in zip(cuts, zip(*halves, strict=True), strict=True):
        np.testing.assert_array_equal(dense(full), np.concatenate([dense(part) for part in parts]))


def test_a_query_is_a_cut_at_the_end_and_empty_for_an_empty_history():
    task = ForecastTaskConfig(past_items=3, past_half_life=2.0)
    history = histories([0, 2, 5])
    rows = query_rows(history, task)
    assert np.diff(rows.indptr).tolist() == [0, 2, 3]
    np.testing.assert_array_equal(rows.items[2:], history.items_of(2)[-3:])
    np.testing.assert_allclose(rows.weights[2:], [0.5, 0.5**0.5, 1.0], rtol=1e-6)


def test_a_history_of_ten_thousand_items_costs_what_it_holds():
    history = histories([3, 10_000], num_items=20_000)
    sampler, rng = CutSampler(history, ForecastTaskConfig()), np.random.default_rng(4)
    cuts = sampler.cut(sampler.draw(50, rng), rng)
    assert len(cuts.past.items) <= 50 * 32
    assert len(cuts.future.items) <= 50 * 80
    assert cuts.seen is not None
    assert len(cuts.seen.items) <= 50 * 10_000


def test_histories_without_two_interactions_are_refused():
    with pytest.raises(UserError, match="two interactions"):
        CutSampler(histories([1, 0, 1]), ForecastTaskConfig())
