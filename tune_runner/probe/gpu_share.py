"""Measures the share of a GPU that a trial needs, so that as many as fit run on each."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from diffrec.config.base import ModelConfig
from diffrec.errors import UserError
from tune_runner.execution import remote_call
from tune_runner.probe.fusion import fused_on_gpu
from tune_runner.resources.allocation import (
    ClusterResources,
    ResourceRequest,
    TrialResources,
    allocate,
)
from tune_runner.resources.limits import CONTEXT_BYTES, usable_gpu_fraction

if TYPE_CHECKING:
    from tune_runner.study.session import StudySession

USABLE = 0.95
"""Fraction of a GPU's memory that trials may use; the driver needs the rest."""

MARGIN = 1.2
"""Factor on the measured memory, since other configurations and histories may be larger."""

SMALL_SHARE = 0.1
"""Share of a GPU below which a GPU is checked first: on a small one the CUDA context alone could
exceed it."""

_UNIT = 10_000
"""Ray counts shares of a GPU in ten-thousandths."""


def share_of_gpu(needed_bytes: float, gpu_bytes: float) -> float:
    """Return the share of a GPU for each trial, such that whole trials fill it.

    Args:
        needed_bytes: peak memory of a trial, without the process's own context.
        gpu_bytes: memory of the GPU.

    Raises:
        UserError: a trial does not fit on a whole GPU.
    """
    each = MARGIN * needed_bytes + CONTEXT_BYTES
    count = int(USABLE * gpu_bytes / each)
    if count < 1:
        raise UserError(
            f"A trial needs about {each / 2**30:.1f} GiB, but a GPU here has "
            f"{gpu_bytes / 2**30:.1f} GiB; lower training.batch_size or use --gpus-per-trial 0."
        )
    units = math.floor(_UNIT / count)
    if _UNIT // units > count:  # rounding down a small share would let one more in
        units += 1
    return units / _UNIT


def check_gpu_share(request: ResourceRequest, cluster: ClusterResources, *, joined: bool) -> None:
    """Check on a GPU that a small share of it is large enough for a process.

    Args:
        request: what the user has requested.
        cluster: what is available.
        joined: whether it is a cluster that this driver has joined, or this machine.

    Raises:
        UserError: it is too small.
    """
    if (
        not isinstance(request.gpus, float)
        or not 0 < request.gpus < SMALL_SHARE
        or not cluster.gpus
    ):
        return
    from tune_runner.probe import measure

    if joined:
        total_bytes = remote_call.call_on_gpu(measure.gpu_bytes, share=request.gpus)
    else:
        total_bytes = remote_call.call_in_subprocess(measure.gpu_bytes)
    if total_bytes is not None:
        usable_gpu_fraction(request.gpus, total_bytes)


def resolve_resources(session: "StudySession", cluster: ClusterResources) -> TrialResources:
    """Return the resources of each trial; called once, when Ray runs.

    Raises:
        UserError: there is no GPU to measure on, or a trial does not fit.
    """
    request = _resolve_auto(session, cluster)
    return allocate(request, cluster, trials=session.plan.trials)


def _resolve_auto(session: "StudySession", cluster: ClusterResources) -> ResourceRequest:
    """Return the request with every `auto` replaced by a measurement on a GPU of the cluster.

    Raises:
        UserError: there is no GPU to measure on, or a trial does not fit.
    """
    request = session.request
    if "auto" not in (request.gpus, request.fuse):
        return request
    from tune_runner.probe import measure

    configs = measure.heaviest_configs(session.config, session.space, session.plan, session.dataset)
    measured = measure.measure_on_gpu(configs, session.dataset)
    train = session.dataset.train
    if measured is None:
        flag = "--gpus-per-trial" if request.gpus == "auto" else "--fuse"
        raise UserError(
            f"{flag} auto measures a batch on a GPU, but torch sees none on the node that "
            f"Ray counts {cluster.gpus:g} on; give a number instead."
        )
    needed, total_bytes = measured
    if request.fuse != 1:  # the measurement is of a single run
        needed *= max(_fused_over_alone(c, train.num_users, train.num_items) for c in configs)
    return _with_measured(request, needed, total_bytes)


def _fused_over_alone(config: ModelConfig, num_users: int, num_items: int) -> float:
    """Return the memory of a fused trial as a multiple of that of a separate one."""
    single_bytes = config.estimate_bytes(num_users, num_items)
    if not single_bytes or config.fusion_key() is None:
        return 1.0
    return max(1.0, config.estimate_bytes(num_users, num_items, fused=True) / single_bytes)


def _with_measured(
    request: ResourceRequest, needed_bytes: float, gpu_bytes: float
) -> ResourceRequest:
    """Compute the share from the number of fused trials, or the number from the share."""
    if request.fuse != "auto":
        return replace(request, gpus=share_of_gpu(request.fuse * needed_bytes, gpu_bytes))
    share = 1.0 if request.gpus in (None, "auto") else min(1.0, float(request.gpus))
    usable_gpu_fraction(share, gpu_bytes)
    room = USABLE * share * gpu_bytes - CONTEXT_BYTES
    return replace(
        request, gpus=request.gpus and share, fuse=fused_on_gpu(MARGIN * needed_bytes, room)
    )
