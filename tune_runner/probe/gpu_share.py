"""How large a share of a GPU a trial needs: measured on one, then as many to a GPU as fit."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from diffrec.config.families import AnyConfig
from diffrec.errors import UserError
from diffrec.training.fused.compatibility import fusion_key
from tune_runner.execution import remote_call
from tune_runner.probe.fusion import fused_on_gpu
from tune_runner.resources.allocation import Cluster, Wish
from tune_runner.resources.limits import CONTEXT_BYTES, fraction_for_tensors
from tune_runner.resources.memory import trial_bytes

if TYPE_CHECKING:
    from tune_runner.study.session import Session

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


def check_share(wish: Wish, cluster: Cluster, *, joined: bool) -> None:
    """Ask a GPU whether a small share of it holds a process at all.

    Args:
        wish: what the user asked for.
        cluster: what there is.
        joined: whether it is a cluster that this driver has joined, or this machine.

    Raises:
        UserError: it does not.
    """
    if not isinstance(wish.gpus, float) or not 0 < wish.gpus < SMALL_SHARE or not cluster.gpus:
        return
    from tune_runner.probe import measure

    if joined:
        there = remote_call.on_a_gpu(measure.gpu_bytes, share=wish.gpus)
    else:
        there = remote_call.in_own_process(measure.gpu_bytes)
    if there is not None:
        fraction_for_tensors(wish.gpus, there)


def sized(session: "Session", cluster: Cluster) -> Wish:
    """Return the wish with every `auto` replaced by what was measured on one of the cluster's GPUs.

    Raises:
        UserError: there is no GPU to measure on, or a trial does not fit.
    """
    wish = session.wish
    if "auto" not in (wish.gpus, wish.fuse):
        return wish
    from tune_runner.probe import measure

    configs = measure.heaviest(session.config, session.space, session.plan, session.dataset)
    measured = measure.measure_on_gpu(configs, session.dataset)
    train = session.dataset.train
    if measured is None:
        flag = "--gpus-per-trial" if wish.gpus == "auto" else "--fuse"
        raise UserError(
            f"{flag} auto measures a batch on a GPU, but torch sees none on the node that "
            f"Ray counts {cluster.gpus:g} on; give a number instead."
        )
    needed, there = measured
    if wish.fuse != 1:  # one was measured by itself
        needed *= max(_fused_over_alone(c, train.num_users, train.num_items) for c in configs)
    return _with_measured(wish, needed, there)


def _fused_over_alone(config: AnyConfig, num_users: int, num_items: int) -> float:
    """Return how many times the memory a trial needs that is trained together with others."""
    alone = trial_bytes(config, num_users, num_items)
    if not alone or fusion_key(config) is None:
        return 1.0
    return max(1.0, trial_bytes(config, num_users, num_items, fused=True) / alone)


def _with_measured(wish: Wish, needed_bytes: float, gpu_bytes: float) -> Wish:
    """Fill in the share from the number of trials that share it, or the number from the share."""
    if wish.fuse != "auto":
        return replace(wish, gpus=share_of_gpu(wish.fuse * needed_bytes, gpu_bytes))
    share = 1.0 if wish.gpus in (None, "auto") else min(1.0, float(wish.gpus))
    fraction_for_tensors(share, gpu_bytes)
    room = USABLE * share * gpu_bytes - CONTEXT_BYTES
    return replace(wish, gpus=wish.gpus and share, fuse=fused_on_gpu(MARGIN * needed_bytes, room))
