"""Where trials go: the machine's size, the user's wish, whole and shared GPUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.errors import UserError
from tune_runner.resources.allocation import Cluster, Placement, Wish, place
from tune_runner.resources.limits import CONTEXT_BYTES, fraction_for_tensors


@pytest.mark.parametrize(
    ("wish", "cpus", "gpus", "trials", "placed"),
    [
        (Wish(), 2, 0, 50, Placement(1, 0, 2)),
        (Wish(), 8, 0, 3, Placement(1, 0, 3)),
        (Wish(max_concurrent=1), 8, 0, 50, Placement(1, 0, 1)),
        (Wish(cpus=2), 8, 0, 50, Placement(2, 0, 4)),
        (Wish(), 16, 2, 50, Placement(8, 1, 2)),
        (Wish(gpus=0), 16, 2, 50, Placement(1, 0, 16)),
        (Wish(cpus=1, gpus=0.25), 16, 2, 50, Placement(1, 0.25, 8)),
        (Wish(cpus=1, gpus=0.4), 16, 2, 50, Placement(1, 0.4, 4)),
        (Wish(cpus=1, gpus=0.25), 3, 2, 50, Placement(1, 0.25, 3)),
        (Wish(cpus=1, gpus=2), 16, 5, 50, Placement(1, 2, 2)),
        (Wish(max_concurrent=9), 2, 0, 50, Placement(1, 0, 2)),
    ],
)
def test_place(wish, cpus, gpus, trials, placed):
    assert place(wish, Cluster(cpus, gpus), trials=trials) == placed


def test_a_share_of_a_gpu_gets_a_share_of_the_cpus():
    placed = place(Wish(gpus=0.25), Cluster(16, 2), trials=50)
    assert placed == Placement(2, 0.25, 8)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(gpus=3), "3 GPUs per trial were asked for, but there are 2"),
        (Wish(cpus=17), "17 CPUs per trial were asked for, but there are 16"),
        (Wish(gpus=1.5), "must be whole"),
    ],
)
def test_more_than_there_is_is_refused(wish, words):
    with pytest.raises(UserError, match=words):
        place(wish, Cluster(16, 2), trials=5)


@given(st.integers(1, 64), st.sampled_from([24, 80, 141]))
def test_shares_of_a_gpu_sum_to_no_more_than_it_has_contexts_included(count, gib):
    whole = gib * 2**30
    if whole / count <= CONTEXT_BYTES:
        with pytest.raises(UserError, match="before its first tensor"):
            fraction_for_tensors(1 / count, whole)
        return
    tensors = fraction_for_tensors(1 / count, whole) * whole
    assert count * (tensors + CONTEXT_BYTES) <= whole * (1 + 1e-9)
