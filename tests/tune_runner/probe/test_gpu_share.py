"""Shares of a GPU from what a trial was seen to need; weights counted like torch counts them."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrec.config.baselines import EASEConfig, MultVAEConfig, PopularityConfig
from diffrec.config.memory import num_weights
from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.errors import UserError
from diffrec.models.baselines.mult_vae import MultVAE
from diffrec.models.recommender import DiffusionRecommender
from search_spaces import get_space
from tune_runner.execution import remote_call
from tune_runner.probe import measure
from tune_runner.probe.gpu_share import (
    MARGIN,
    SMALL_SHARE,
    USABLE,
    _fused_over_alone,
    check_gpu_share,
    share_of_gpu,
)
from tune_runner.probe.measure import check_memory, heaviest_configs
from tune_runner.resources.allocation import ClusterResources, ResourceRequest
from tune_runner.resources.limits import CONTEXT_BYTES
from tune_runner.study.config import StudyConfig, make_plan

GIB = 2**30


@given(st.floats(1e6, 60e9), st.sampled_from([8 * GIB, 24 * GIB, 141 * GIB]))
def test_as_many_trials_share_a_gpu_as_fit_and_no_more(needed, gpu):
    each = MARGIN * needed + CONTEXT_BYTES
    if each > USABLE * gpu:
        with pytest.raises(UserError, match="needs about"):
            share_of_gpu(needed, gpu)
        return
    share = share_of_gpu(needed, gpu)
    count = int(1 / share + 1e-9)
    assert count * each <= USABLE * gpu
    assert (count + 1) * each > USABLE * gpu or count > 100
    assert round(share * 10_000) == pytest.approx(share * 10_000)


@pytest.mark.parametrize("variant", ["DiffRec", "L-DiffRec"])
@pytest.mark.parametrize("dims", [(200,), (200, 600), (32, 16, 8)])
def test_weights_are_counted_as_torch_counts_them(variant, dims):
    config = preset(variant, "ml-1m_clean").config.replace_values({"denoiser.hidden_dims": dims})
    ids = None
    if config.autoencoder is not None:
        config = config.replace_values(
            {"autoencoder.num_clusters": 1, "autoencoder.clustering": None}
        )
        ids = np.zeros(97, dtype=np.int64)
    model = DiffusionRecommender(config, 97, ids)
    emb = config.denoiser.timestep_embedding_dim
    counted = sum(p.numel() for p in model.parameters()) - (emb * emb + emb)  # the step's own layer
    assert num_weights(config.layer_widths(97)) == counted


def test_weights_of_a_mult_vae():
    config = MultVAEConfig(hidden_dims=(50, 30), latent_dim=7)
    counted = sum(p.numel() for p in MultVAE(config, 97).parameters())
    assert num_weights(config.layer_widths(97)) == counted


def test_what_the_largest_published_dataset_needs_fits_a_laptop():
    # amazon-book_noisy: benchmarks/memory.py measures it, the interpreter and torch included
    config = preset("DiffRec", "amazon-book_noisy").config
    assert 4.5e9 < config.estimate_bytes(108_822, 178_181) < 6e9


def test_closed_forms_weigh_their_gram_matrix():
    assert PopularityConfig().estimate_bytes(10, 10) == 0
    assert EASEConfig().estimate_bytes(10, 100_000) > 200e9


def test_what_cannot_fit_is_refused_before_it_is_paid_for():
    dataset = load_dataset("embedded")
    check_memory([preset("DiffRec", "embedded").config], dataset)
    giant = preset("DiffRec", "embedded").config.replace_values(
        {"denoiser.hidden_dims": (1_000_000, 1_000_000)}
    )
    with pytest.raises(UserError, match="DiffRec on embedded needs about"):
        check_memory([giant], dataset)


def test_the_heaviest_of_each_variant_is_measured():
    space, dataset = get_space("joint"), load_dataset("embedded")
    config = StudyConfig(space="joint", name="x")
    configs = heaviest_configs(config, space, make_plan(config, space), dataset)
    assert len({c.variant for c in configs}) == len(configs) == 6


def test_trials_trained_as_one_computation_are_counted_as_such():
    plain, closed = preset("DiffRec", "amazon-book_noisy").config, EASEConfig()
    assert _fused_over_alone(plain, 108_822, 178_181) > 1.4  # no gradient in pieces, no shared room
    assert _fused_over_alone(closed, 100, 100) == 1.0


@pytest.mark.parametrize("share", [0.001, 0.02, 0.05, 0.5, 1.0])
def test_a_share_too_small_for_a_process_is_refused_before_anything_is_written(share, monkeypatch):
    calls = []
    monkeypatch.setattr(
        remote_call, "call_in_subprocess", lambda work: calls.append(work) or 24 * GIB
    )
    request = ResourceRequest(gpus=share)
    if share * 24 * GIB > CONTEXT_BYTES:
        check_gpu_share(request, ClusterResources(16, 1), joined=False)
    else:
        with pytest.raises(UserError, match="before its first tensor; request more"):
            check_gpu_share(request, ClusterResources(16, 1), joined=False)
    assert calls == ([measure.gpu_bytes] if share < SMALL_SHARE else [])


@pytest.mark.parametrize(
    "requested", [ResourceRequest(), ResourceRequest(gpus="auto"), ResourceRequest(gpus=0.0)]
)
def test_only_a_small_share_is_asked_for(requested, monkeypatch):
    monkeypatch.setattr(remote_call, "call_in_subprocess", lambda work: pytest.fail("asked"))
    check_gpu_share(requested, ClusterResources(16, 1), joined=False)


@pytest.mark.ray
def test_a_share_is_looked_at_while_another_holds_most_of_the_gpu():
    # in a process of its own, whose Ray counts a GPU; torch sees none, so nothing is refused
    code = """
import ray
from tune_runner.resources.allocation import ClusterResources, ResourceRequest
from tune_runner.probe.gpu_share import check_gpu_share

class Holder:
    def ready(self):
        return True

ray.init(num_cpus=2, num_gpus=1, include_dashboard=False)
held = ray.remote(num_gpus=0.9)(Holder).remote()
assert ray.get(held.ready.remote())
check_gpu_share(ResourceRequest(gpus=0.001), ClusterResources(2, 1), joined=True)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
