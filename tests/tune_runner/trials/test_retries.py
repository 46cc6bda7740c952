"""Retries: counted for failures of a trial, never for nodes that were taken from it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_runner.events import Outcome
from tune_runner.resources.allocation import ONE_CPU
from tune_runner.trials.retries import (
    MAX_STALL_SECONDS,
    MAX_WAIT_SECONDS,
    NodeLosses,
    classify_failure_message,
    describe_failure,
    resources_for_retry,
)

LOST = [
    "The actor died because its node has died. Node Id: ffff",
    "the actor's node was preempted: Spot instance reclaimed",
    "the actor's node was terminated expectedly: received SIGTERM",
    "the actor's node was terminated unexpectedly: health check failed",
]


@pytest.mark.parametrize("message", LOST)
def test_what_ray_says_of_a_lost_node_is_no_failure_of_the_trial(message):
    assert classify_failure_message(message) == "node_lost"


@pytest.mark.parametrize(
    "message",
    ["Worker exit type: SYSTEM_ERROR", "ValueError: node_lost", "the worker was lost"],
)
def test_a_killed_worker_or_an_exception_is_counted(message):
    assert classify_failure_message(message) == "transient"


@given(st.integers(min_value=0, max_value=10_000))
def test_a_trial_is_retried_after_any_number_of_lost_nodes(num_failures):
    retry = resources_for_retry(
        "node_lost", num_failures=num_failures, resources=ONE_CPU, initial=ONE_CPU, limit=ONE_CPU
    )
    assert retry == ONE_CPU


def test_waits_double_while_nothing_is_trained_and_begin_anew_after_progress():
    losses = NodeLosses(clock=lambda: 0.0)
    waits = [losses.add(epoch=5) for _ in range(10)]
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert max(waits) == MAX_WAIT_SECONDS
    assert losses.add(epoch=6) == 0


@given(st.lists(st.floats(min_value=0, max_value=MAX_STALL_SECONDS), min_size=1, max_size=20))
def test_only_time_without_progress_ends_a_trial(gaps):
    now = 0.0
    losses, stalled = NodeLosses(clock=lambda: now), 0.0
    losses.add(epoch=1)
    for gap in gaps:
        now, stalled = now + gap, stalled + gap
        assert math.isinf(losses.add(epoch=1)) == (now > MAX_STALL_SECONDS)
    now += 10 * MAX_STALL_SECONDS
    assert losses.add(epoch=2) == 0  # it has trained meanwhile


def test_a_trial_without_progress_says_for_how_long():
    outcome = Outcome(failure=LOST[0], failure_kind="node_lost")
    assert describe_failure(outcome) == (
        f"no progress for 6 hours on nodes that were lost; the last: {LOST[0]}"
    )
    assert describe_failure(Outcome(failure="planted", failure_kind="transient")) == "planted"
    assert describe_failure(Outcome(0.5)) is None
