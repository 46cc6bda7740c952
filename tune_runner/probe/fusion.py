"""How many trials are trained as one computation: what the user asks for, where that pays.

Fused or not, a CPU makes the same products. What fusing saves is the overhead of many small ones,
so it pays for small models on small data and costs a little where products already run at the
machine's peak. Which it is gets measured before the study, on the heaviest configuration of each
variant: the one that gains least. A GPU is mostly idle with one small model; there it is the memory
that limits how many.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import psutil

from diffrec.config import RecommenderConfig
from diffrec.config.families import AnyConfig
from diffrec.errors import UserError
from diffrec.training.fused.compatibility import fusion_key
from search_spaces import SearchSpace
from tune_runner.execution.remote_call import in_own_process, on_a_node
from tune_runner.probe.measure import heaviest
from tune_runner.resources.allocation import Cluster, Placement, Wish, local_cluster, place
from tune_runner.resources.limits import hold_to_share
from tune_runner.resources.memory import trial_bytes
from tune_runner.study.config import Plan, StudyConfig

if TYPE_CHECKING:
    from diffrec.data import Dataset, TuningSplit

CPU_MOST = 8
"""Trials that `auto` fuses on a CPU; from 4 to 8 the gain still grew (benchmarks/README.md)."""

GPU_MOST = 16
"""Trials that `auto` fuses on a GPU, memory permitting: of what 64 gain, 16 gain nine tenths, and
proposals wait for fewer (benchmarks/README.md)."""

WORTH = 1.1
"""Gain from which on `auto` fuses on a CPU: members report, and are pruned, together and later."""

_BATCHES = 3
"""Of which an epoch of the measurement consists."""

_ROUNDS = 3
_ENDLESS = {"training.max_epochs": 10**9, "training.eval_every": 10**9, "training.patience": 10**9}


class MeasureSpeedup(Protocol):
    """Returns how many times the trials an hour fusing gives, measured where trials run."""

    def __call__(
        self,
        config: AnyConfig,
        dataset: "Dataset",
        placement: Placement,
        count: int,
        *,
        cluster: Cluster | None = None,
    ) -> float:
        """Return the gain of `count` fused runs over as many alone."""
        ...


def settle(
    config: StudyConfig,
    space: SearchSpace,
    plan: Plan,
    dataset: "Dataset",
    cluster: Cluster | None = None,
    measure: "MeasureSpeedup | None" = None,
) -> tuple[Wish, str]:
    """Return the wish with the number of trials to fuse, and why, as a line to print.

    On GPUs `auto` is left as it is: one has to be asked (tune_runner.probe.gpu_share).

    Args:
        config: the study's settings.
        space: its space.
        plan: its plan.
        dataset: its data.
        cluster: what there is; None: this machine.
        measure: what measures the gain of fusing; `measured_gain` if left out.

    Raises:
        UserError: the number asked for would be slower than one by one, or cannot be fused.
    """
    wish = config.wish
    if wish.fuse == 1:
        return wish, ""
    placement = place(wish, cluster or local_cluster(), trials=plan.trials)
    fused, alone = _by_kind(heaviest(config, space, plan, dataset))
    if not fused:
        said = f"{', '.join(alone)} cannot be fused; only diffusion recommenders can"
        return _without(wish, said)
    others = f"; {', '.join(alone)} each alone" if alone else ""
    if placement.gpus:
        shown = "as many trials as fit" if wish.fuse == "auto" else f"up to {wish.fuse} trials"
        return wish, f"fuse      {shown} as one computation{others}"
    most = CPU_MOST if wish.fuse == "auto" else wish.fuse
    count = min(most, math.ceil(plan.trials / placement.max_concurrent))
    if count == 1:
        return replace(wish, fuse=1), "fuse      nothing: every trial has a worker of its own"
    if cluster is None and (said := _too_large(fused, dataset, placement, count)):
        return _without(wish, said)
    gains = [
        ((measure or measured_gain)(c, dataset, placement, count, cluster=cluster), c.variant)
        for c in fused
    ]
    return _judged(wish, count, *min(gains), others)


def _judged(wish: Wish, count: int, gain: float, variant: str, others: str) -> tuple[Wish, str]:
    """Fuse where the least gain of a variant is enough."""
    rate = f"{count} trials of {variant} as one computation run at {gain:.2f} times the rate of"
    if gain < (WORTH if wish.fuse == "auto" else 1.0):
        return _without(wish, f"{rate} the same one by one on this CPU")
    return replace(wish, fuse=count), f"fuse      {rate} one by one{others}"


def measured_gain(
    config: AnyConfig,
    dataset: "Dataset",
    placement: Placement,
    count: int,
    *,
    cluster: Cluster | None = None,
) -> float:
    """Return `gain` as measured where trials run: in a process on this machine or on a node."""
    if cluster is None:
        return in_own_process(gain, config, dataset, placement, count)
    return on_a_node(gain, config, dataset, placement, count, cpus=placement.cpus)


def gain(config: AnyConfig, dataset: "Dataset", placement: Placement, count: int) -> float:
    """Return how many times the trials an hour `count` fused runs give, against one by one.

    The process's own CPU time is what counts: whatever else the machine does meets both ways, in
    turn, but seldom alike. The least of each counts, since neighbours only ever slow a work down.
    """
    from diffrec.training.fused.runs import FusedRuns
    from diffrec.training.runs import build_run

    assert isinstance(config, RecommenderConfig)
    device = hold_to_share(placement)
    split = _first_users(dataset.tuning_split(), _BATCHES * config.training.batch_size)
    endless = config.replace_values(_ENDLESS)
    alone = build_run(endless, split, device=device)
    fused = FusedRuns([build_run(endless, split, device=device) for _ in range(count)])
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for kept, train in zip(seconds, (alone.next_epoch, fused.next_epoch), strict=True):
            started = time.process_time()
            train()
            kept.append(time.process_time() - started)
    return count * min(seconds[0]) / min(seconds[1])


def fused_on_gpu(needed_bytes: float, free_bytes: float) -> int:
    """Return how many trials `auto` fuses.

    Args:
        needed_bytes: of each, margin included.
        free_bytes: of the GPU's share that trials may use, the process's own context left out.
    """
    return max(1, min(GPU_MOST, int(free_bytes / max(needed_bytes, 1.0))))


def _by_kind(configs: Sequence[AnyConfig]) -> tuple[list[AnyConfig], list[str]]:
    """Return the configurations that can be fused, and the variants of those that cannot."""
    fused = [config for config in configs if fusion_key(config) is not None]
    return fused, [config.variant for config in configs if fusion_key(config) is None]


def _without(wish: Wish, said: str) -> tuple[Wish, str]:
    """Fuse nothing where the choice was left to us, else refuse."""
    if wish.fuse == "auto":
        return replace(wish, fuse=1), f"fuse      nothing: {said}"
    raise UserError(f"--fuse {wish.fuse} is of no use here: {said}; leave it out, or try another.")


def _too_large(
    configs: Sequence[AnyConfig], dataset: "Dataset", placement: Placement, count: int
) -> str:
    """Say why the groups do not fit into this machine's memory; "" where they do."""
    train = dataset.train
    each = max(trial_bytes(c, train.num_users, train.num_items, fused=True) for c in configs)
    need, there = each * count * placement.max_concurrent, psutil.virtual_memory().total
    if need <= there:
        return ""
    return (
        f"{placement.max_concurrent} times {count} trials at a time need about "
        f"{need / 2**30:.1f} GiB, but this machine has {there / 2**30:.1f}"
    )


def _first_users(split: "TuningSplit", count: int) -> "TuningSplit":
    """Return the data of `count` users at most; items, and so all shapes, stay."""
    from diffrec.data import Interactions, TuningSplit

    def cut(whole: Interactions) -> Interactions:
        users = min(count, whole.num_users)
        indptr = whole.indptr[: users + 1]
        return Interactions(users, whole.num_items, indptr, whole.indices[: indptr[-1]])

    return TuningSplit(cut(split.train), cut(split.valid), split.item_embeddings)
