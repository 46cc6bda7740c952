"""How large a share of a GPU a trial needs: measured on one, then as many to a GPU as fit."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from diffrec.config.families import AnyConfig
from diffrec.errors import UserError
from diffrec.training.fused.compatibility import fusion_key
from tune_runner.execution import remote_call
from tune_runner.probe.fusion import fused_on_gpu
from tune_runner.resources.allocation import ClusterResources, ResourceRequest
from tune_runner.resources.limits import CONTEXT_BYTES, usable_gpu_fraction
from tune_runner.resources.memory import estimate_trial_bytes

if TYPE_CHECKING:
    from tune_runner.study.session import StudySession

USABLE = 0.95
"""Part of a GPU's memory that trials may plan with; the driver keeps some."""

MARGIN = 1.2
"""Factor on what two epochs were seen to take: other configurations, and histories, are longer."""

SMALL_SHARE = 0.1
"""Of a GPU; of less than that the process's context alone may be all on a small one."""

_UNIT = 10_000
"""Ray counts shares of a GPU in ten-thousandths."""


def share_of_gpu(needed_bytes: float, gpu_bytes: float) -> float:
    """Return the share of a GPU to give a trial, so that whole trials fill it.

    Args:
        needed_bytes: peak memory of a trial, without the process's own context.
        gpu_bytes: memory of the GPU.

    Raises:
        UserError: not even a whole GPU suffices.
    """
    each = MARGIN * needed_bytes + CONTEXT_BYTES
    count = int(USABLE * gpu_bytes / each)
    if count < 1:
        raise UserError(
            f"A trial needs about {each / 2**30:.1f} GiB, but a GPU here has "
            f"{gpu_bytes / 2**30:.1f} GiB; lower training.batch_size or use --gpus-per-trial 0."
        )
    units = math.floor(_UNIT / count)
    if _UNIT // units > count:  # so small a share that rounding it down lets one more in
        units += 1
    return units / _UNIT


def check_gpu_share(request: ResourceRequest, cluster: ClusterResources, *, joined: bool) -> None:
    """Ask a GPU whether a small share of it holds a process at all.

    Args:
        request: what the user asked for.
        cluster: what there is.
        joined: whether it is a cluster that this driver has joined, or this machine.

    Raises:
        UserError: it does not.
    """
    if (
        not isinstance(request.gpus, float)
        or not 0 < request.gpus < SMALL_SHARE
        or not cluster.gpus
    ):
        return
    from tune_runner.probe import measure

    if joined:
        there = remote_call.call_on_gpu(measure.gpu_bytes, share=request.gpus)
    else:
        there = remote_call.call_in_subprocess(measure.gpu_bytes)
    if there is not None:
        usable_gpu_fraction(request.gpus, there)


def resolve_auto(session: "StudySession", cluster: ClusterResources) -> ResourceRequest:
    """Return the request with every `auto` replaced by what was measured on a GPU of the cluster.

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
    needed, there = measured
    if request.fuse != 1:  # one was measured by itself
        needed *= max(_fused_over_alone(c, train.num_users, train.num_items) for c in configs)
    return _with_measured(request, needed, there)


def _fused_over_alone(config: AnyConfig, num_users: int, num_items: int) -> float:
    """Return how many times the memory a trial needs that is trained together with others."""
    alone = estimate_trial_bytes(config, num_users, num_items)
    if not alone or fusion_key(config) is None:
        return 1.0
    return max(1.0, estimate_trial_bytes(config, num_users, num_items, fused=True) / alone)


def _with_measured(
    request: ResourceRequest, needed_bytes: float, gpu_bytes: float
) -> ResourceRequest:
    """Fill in the share from the number of trials that share it, or the number from the share."""
    if request.fuse != "auto":
        return replace(request, gpus=share_of_gpu(request.fuse * needed_bytes, gpu_bytes))
    share = 1.0 if request.gpus in (None, "auto") else min(1.0, float(request.gpus))
    usable_gpu_fraction(share, gpu_bytes)
    room = USABLE * share * gpu_bytes - CONTEXT_BYTES
    return replace(
        request, gpus=request.gpus and share, fuse=fused_on_gpu(MARGIN * needed_bytes, room)
    )
