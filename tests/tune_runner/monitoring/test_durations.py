"""One estimate of the time left, in units that it deserves."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_runner.monitoring.durations import estimate_seconds_left, format_estimate

UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86400}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "about 10 s"),
        (41, "about 40 s"),
        (55, "about 1 min"),
        (480, "about 8 min"),
        (4190, "about 70 min"),
        (9000, "about 2.5 h"),
        (100_000, "about 28 h"),
        (400_000, "about 5 days"),
    ],
)
def test_an_estimate_is_told_in_its_unit(seconds, text):
    assert format_estimate(seconds) == text


@given(st.floats(10, 1e7))
def test_an_estimate_is_never_far_from_its_number(seconds):
    number, unit = re.fullmatch(r"about ([\d.]+) (\w+)", format_estimate(seconds)).groups()
    assert float(number) * UNITS[unit] == pytest.approx(seconds, rel=0.34)


def test_the_last_trials_are_not_shared_among_workers_that_have_none():
    assert estimate_seconds_left([60.0], remaining=1, concurrent=8) == 60.0
    assert estimate_seconds_left([60.0], remaining=8, concurrent=8) == 60.0
    assert estimate_seconds_left([60.0], remaining=16, concurrent=8) == 120.0
    assert estimate_seconds_left([60.0], remaining=1, concurrent=8, running=[45.0]) == 15.0
    assert estimate_seconds_left([], remaining=1, concurrent=8) is None
