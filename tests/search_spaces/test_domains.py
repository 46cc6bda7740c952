"""Domains mean the same everywhere: inclusive, typed, and every draw lies inside."""

import enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.errors import UserError
from sampling import sample
from search_spaces import Choice, FractionOf, IntUniform, LogUniform, ScaledFrom, Uniform

finite = st.floats(-1e6, 1e6)
bounds = st.tuples(finite, finite).map(sorted)
int_bounds = st.tuples(st.integers(-50, 50), st.integers(-50, 50)).map(sorted)


class Schedule(enum.StrEnum):
    LINEAR = "linear"


class Steps(enum.IntEnum):
    FEW = 5


def test_values_of_a_users_class_become_pythons_own():
    """Workers and records know no module of the user's."""
    inputs = (Schedule.LINEAR, Steps.FEW, np.float64(0.1), [Steps.FEW], (Steps.FEW, None), True)
    values = Choice(*inputs).values
    assert values == ("linear", 5, 0.1, [5], (5, None), True)
    assert [type(v) for v in values] == [str, int, float, list, tuple, bool]
    assert type(values[3][0]) is type(values[4][0]) is int


@given(bounds, st.integers(0, 2**32))
def test_uniform_draws_lie_inside_and_ends_belong(ends, seed):
    domain = Uniform(*ends)
    assert sample(domain, np.random.default_rng(seed)) in domain
    assert all(corner in domain for corner in domain.corners())


@given(st.tuples(st.floats(1e-8, 1e3), st.floats(1e-8, 1e3)).map(sorted), st.integers(0, 2**32))
def test_log_uniform_draws_lie_inside(ends, seed):
    domain = LogUniform(*ends)
    assert sample(domain, np.random.default_rng(seed)) in domain


@given(int_bounds, st.integers(0, 2**32))
def test_int_uniform_draws_lie_inside(ends, seed):
    domain = IntUniform(*ends)
    assert sample(domain, np.random.default_rng(seed)) in domain


@pytest.mark.parametrize("log", [False, True])
def test_int_uniform_hits_both_ends(log):
    rng = np.random.default_rng(0)
    drawn = {sample(IntUniform(1, 4, log=log), rng) for _ in range(500)}
    assert drawn == {1, 2, 3, 4}


def test_choice_tells_types_apart():
    assert 1 in Choice(1, 2)
    assert 1.0 not in Choice(1, 2)
    assert True not in Choice(1, 2)
    assert Choice((200, 600), None).labels == ("[200, 600]", None)


@given(st.floats(1e-6, 1e3), st.floats(1, 100))
def test_scaled_from_keeps_the_order_of_the_two(base, factor):
    assert ScaledFrom("noise_min", Uniform(1, 100)).value(base, factor) >= base


@given(st.integers(0, 1000), st.floats(0, 1))
def test_fraction_of_is_a_whole_number_up_to_its_base(base, fraction):
    value = FractionOf("num_steps").value(base, fraction)
    assert type(value) is int
    assert 0 <= value <= base


def test_fraction_of_reaches_both_ends():
    assert FractionOf("num_steps").value(5, 0.0) == 0
    assert FractionOf("num_steps").value(5, 1.0) == 5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Choice(), "at least one"),
        (lambda: Choice(1, 1), "distinct"),
        (lambda: Uniform(2, 1), "low <= high"),
        (lambda: Uniform(0, float("inf")), "finite"),
        (lambda: LogUniform(0, 1), "low > 0"),
        (lambda: IntUniform(1, 2.5), "whole"),
        (lambda: IntUniform(0, 2, log=True), "low >= 1"),
        (lambda: FractionOf("a", Uniform(0, 2)), "between 0 and 1"),
    ],
)
def test_a_domain_without_sense_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
