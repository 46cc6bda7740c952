"""Where trials go: the machine's size, the user's request, whole and shared GPUs."""

from dataclasses import replace

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


SMALL, BIG = {"CPU": 4.0, "GPU": 1.0}, {"CPU": 32.0, "GPU": 2.0}
PLAIN = {"CPU": 16.0}


@pytest.mark.parametrize(
    ("requested", "nodes", "placed"),
    [
        # its part of the CPUs is that of the poorest type, so that it fits on every type
        (ResourceRequest(), (SMALL, BIG), TrialResources(4, 1, 3)),
        (ResourceRequest(), (SMALL, PLAIN), TrialResources(4, 1, 1)),
        (ResourceRequest(gpus=0.5), (SMALL, BIG), TrialResources(2, 0.5, 6)),
        (ResourceRequest(cpus=8.0), (SMALL, BIG), TrialResources(8, 1, 2)),
        (ResourceRequest(gpus=0.0), (SMALL, PLAIN), TrialResources(1, 0, 20)),
        (ResourceRequest(cpus=3.0, gpus=0.0), (SMALL, PLAIN), TrialResources(3, 0, 6)),
        (ResourceRequest(), ({}, {"CPU": 0.0}), TrialResources(1, 0, 1)),  # workers may come
    ],
)
def test_shares_fit_on_nodes_of_every_type_and_each_node_is_counted(requested, nodes, placed):
    assert allocate(requested, cluster_of(*nodes), trials=50) == placed


def cluster_of(*nodes):
    """A cluster of nodes with these resources."""
    totals = [sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU")]
    return ClusterResources(*totals, nodes=nodes)


@pytest.mark.parametrize(
    ("requested", "words"),
    [
        (ResourceRequest(cpus=20.0, gpus=0.0), "20 CPUs .* the largest node has 16; request fewer"),
        (ResourceRequest(cpus=8.0, gpus=1.0), "No node has room for a trial of 8 CPU and 1 GPU"),
        (ResourceRequest(gpus=2.0), "2 GPUs .* the largest node has 1"),
    ],
)
def test_a_trial_must_fit_on_one_node_however_many_there_are(requested, words):
    with pytest.raises(UserError, match=words):
        allocate(requested, cluster_of(SMALL, PLAIN, PLAIN), trials=50)
    growing = replace(cluster_of(SMALL, PLAIN, PLAIN), grows=True)
    assert allocate(requested, growing, trials=50).max_concurrent == 1


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
