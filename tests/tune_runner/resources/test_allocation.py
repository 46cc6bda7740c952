"""Where trials go: the machine's size, the user's request, whole and shared GPUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.errors import UserError
from tune_runner.resources.allocation import (
    ClusterResources,
    ResourceRequest,
    TrialResources,
    allocate,
)
from tune_runner.resources.limits import CONTEXT_BYTES, usable_gpu_fraction


@pytest.mark.parametrize(
    ("requested", "cpus", "gpus", "trials", "placed"),
    [
        (ResourceRequest(), 2, 0, 50, TrialResources(1, 0, 2)),
        (ResourceRequest(), 8, 0, 3, TrialResources(1, 0, 3)),
        (ResourceRequest(max_concurrent=1), 8, 0, 50, TrialResources(1, 0, 1)),
        (ResourceRequest(cpus=2), 8, 0, 50, TrialResources(2, 0, 4)),
        (ResourceRequest(), 16, 2, 50, TrialResources(8, 1, 2)),
        (ResourceRequest(gpus=0), 16, 2, 50, TrialResources(1, 0, 16)),
        (ResourceRequest(cpus=1, gpus=0.25), 16, 2, 50, TrialResources(1, 0.25, 8)),
        (ResourceRequest(cpus=1, gpus=0.4), 16, 2, 50, TrialResources(1, 0.4, 4)),
        (ResourceRequest(cpus=1, gpus=0.25), 3, 2, 50, TrialResources(1, 0.25, 3)),
        (ResourceRequest(cpus=1, gpus=2), 16, 5, 50, TrialResources(1, 2, 2)),
        (ResourceRequest(max_concurrent=9), 2, 0, 50, TrialResources(1, 0, 2)),
    ],
)
def test_place(requested, cpus, gpus, trials, placed):
    assert allocate(requested, ClusterResources(cpus, gpus), trials=trials) == placed


def test_a_share_of_a_gpu_gets_a_share_of_the_cpus():
    placed = allocate(ResourceRequest(gpus=0.25), ClusterResources(16, 2), trials=50)
    assert placed == TrialResources(2, 0.25, 8)


@pytest.mark.parametrize(
    ("requested", "words"),
    [
        (ResourceRequest(gpus=3), "3 GPUs per trial were requested, but there are 2"),
        (ResourceRequest(cpus=17), "17 CPUs per trial were requested, but there are 16"),
        (ResourceRequest(gpus=1.5), "must be whole"),
    ],
)
def test_more_than_there_is_is_refused(requested, words):
    with pytest.raises(UserError, match=words):
        allocate(requested, ClusterResources(16, 2), trials=5)


@given(st.integers(1, 64), st.sampled_from([24, 80, 141]))
def test_shares_of_a_gpu_sum_to_no_more_than_it_has_contexts_included(count, gib):
    total_bytes = gib * 2**30
    if total_bytes / count <= CONTEXT_BYTES:
        with pytest.raises(UserError, match="before its first tensor"):
            usable_gpu_fraction(1 / count, total_bytes)
        return
    tensors = usable_gpu_fraction(1 / count, total_bytes) * total_bytes
    assert count * (tensors + CONTEXT_BYTES) <= total_bytes * (1 + 1e-9)
