"""Decides how many trials are trained as one computation (`--fuse`).

Training several models as one is known from Horizontally Fused Training Arrays (MLSys 2021) and
from model ensembling with torch.func. On a CPU the products are the same, fused or not; fusing
saves the overhead of many small ones. It is faster for small models on small data, and a little
slower if the products already run at the machine's peak. The speed-up is therefore measured before
the study, on the heaviest configuration of each variant, which gains least. A GPU is mostly idle
with one small model; there the memory limits the number.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import psutil

from diffrec.config.base import ModelConfig
from diffrec.config.families import training_of
from diffrec.errors import UserError
from search_spaces import SearchSpace
from tune_runner.execution.remote_call import call_in_subprocess, call_on_node
from tune_runner.probe.measure import first_users, heaviest_configs
from tune_runner.resources.allocation import (
    ClusterResources,
    ResourceRequest,
    TrialResources,
    allocate,
    local_cluster,
)
from tune_runner.resources.limits import apply_resource_limits
from tune_runner.study.config import StudyConfig, StudyPlan

if TYPE_CHECKING:
    from diffrec.data import Dataset

MAX_FUSED_CPU = 8
"""Trials that `auto` fuses on a CPU; from 4 to 8 the speed-up still grew (benchmarks/README.md)."""

MAX_FUSED_GPU = 16
"""Trials that `auto` fuses on a GPU if they fit: 16 give nine tenths of the speed-up of 64, and a
sampler waits for fewer results (benchmarks/README.md)."""

MIN_SPEEDUP = 1.1
"""Least speed-up for which `auto` fuses on a CPU, since members report and are pruned later."""

_BATCHES = 3
"""Batches in an epoch of the measurement."""

_ROUNDS = 3
_ENDLESS = {"training.max_epochs": 10**9, "training.eval_every": 10**9, "training.patience": 10**9}


class MeasureSpeedup(Protocol):
    """Function that measures the speed-up of fused trials where they run."""

    def __call__(
        self,
        config: ModelConfig,
        dataset: "Dataset",
        resources: TrialResources,
        count: int,
        *,
        cluster: ClusterResources | None = None,
    ) -> float:
        """Return the speed-up in trials per hour of `count` fused runs over separate ones."""
        ...


def resolve_fusion(
    config: StudyConfig,
    space: SearchSpace,
    plan: StudyPlan,
    dataset: "Dataset",
    cluster: ClusterResources | None = None,
    measure: "MeasureSpeedup | None" = None,
) -> tuple[ResourceRequest, str]:
    """Return the request with the number of trials to fuse, and the reason as a line to print.

    On GPUs `auto` stays as it is; `tune_runner.probe.gpu_share` measures there.

    Args:
        config: the study's settings.
        space: its space.
        plan: its plan.
        dataset: its data.
        cluster: what is available; None: this machine.
        measure: measures the speed-up; None: `measure_fusion_speedup`.

    Raises:
        UserError: the requested number would be slower than separate runs, or cannot be fused.
    """
    request = config.request
    if request.fuse == 1:
        return request, ""
    resources = allocate(request, cluster or local_cluster(), trials=plan.trials)
    fused, unfused = _split_fusable(heaviest_configs(config, space, plan, dataset))
    if not fused:
        reason = f"{', '.join(unfused)} cannot be fused; only diffusion recommenders can"
        return _no_fusion(request, reason)
    unfused_note = f"; {', '.join(unfused)} each alone" if unfused else ""
    if resources.gpus:
        count_phrase = (
            "as many trials as fit" if request.fuse == "auto" else f"up to {request.fuse} trials"
        )
        return request, f"fuse      {count_phrase} as one computation{unfused_note}"
    limit = MAX_FUSED_CPU if request.fuse == "auto" else request.fuse
    count = min(limit, math.ceil(plan.trials / resources.max_concurrent))
    if count == 1:
        return replace(request, fuse=1), "fuse      nothing: every trial has a worker of its own"
    if cluster is None and (reason := _memory_fault(fused, dataset, resources, count)):
        return _no_fusion(request, reason)
    gains = [
        (
            (measure or measure_fusion_speedup)(c, dataset, resources, count, cluster=cluster),
            c.variant,
        )
        for c in fused
    ]
    return _decide(request, count, *min(gains), unfused_note)


def _decide(
    request: ResourceRequest, count: int, gain: float, variant: str, unfused_note: str
) -> tuple[ResourceRequest, str]:
    """Fuse if the least speed-up of a variant is large enough."""
    rate = f"{count} trials of {variant} as one computation run at {gain:.2f} times the rate of"
    if gain < (MIN_SPEEDUP if request.fuse == "auto" else 1.0):
        return _no_fusion(request, f"{rate} the same one by one on this CPU")
    return replace(request, fuse=count), f"fuse      {rate} one by one{unfused_note}"


def measure_fusion_speedup(
    config: ModelConfig,
    dataset: "Dataset",
    resources: TrialResources,
    count: int,
    *,
    cluster: ClusterResources | None = None,
) -> float:
    """Return `fusion_speedup` as measured in another process, or on a node of the cluster."""
    if cluster is None:
        return call_in_subprocess(fusion_speedup, config, dataset, resources, count)
    return call_on_node(fusion_speedup, config, dataset, resources, count, cpus=resources.cpus)


def fusion_speedup(
    config: ModelConfig, dataset: "Dataset", resources: TrialResources, count: int
) -> float:
    """Return the speed-up in trials per hour of `count` fused runs over separate ones.

    CPU time of this process is compared, since other load varies; the minimum is used, since other
    load only adds time.
    """
    from diffrec.training.fused.runs import FusedRuns
    from diffrec.training.runs import build_run

    training = training_of(config)
    assert training is not None
    device = apply_resource_limits(resources)
    split = first_users(dataset.tuning_split(), _BATCHES * training.batch_size)
    endless = config.replace_values(_ENDLESS)
    single = build_run(endless, split, device=device)
    fused = FusedRuns([build_run(endless, split, device=device) for _ in range(count)])
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for times, train in zip(seconds, (single.next_epoch, fused.next_epoch), strict=True):
            started = time.process_time()
            train()
            times.append(time.process_time() - started)
    return count * min(seconds[0]) / min(seconds[1])


def fused_on_gpu(needed_bytes: float, free_bytes: float) -> int:
    """Return how many trials `auto` fuses on a GPU.

    Args:
        needed_bytes: memory of each trial, margin included.
        free_bytes: memory of the GPU's share, without the process's own context.
    """
    return max(1, min(MAX_FUSED_GPU, int(free_bytes / max(needed_bytes, 1.0))))


def _split_fusable(configs: Sequence[ModelConfig]) -> tuple[list[ModelConfig], list[str]]:
    """Return the configurations that can be fused, and the variants of those that cannot."""
    fused = [config for config in configs if config.fusion_key() is not None]
    return fused, [config.variant for config in configs if config.fusion_key() is None]


def _no_fusion(request: ResourceRequest, reason: str) -> tuple[ResourceRequest, str]:
    """Fuse nothing if the user requested `auto`, else refuse."""
    if request.fuse == "auto":
        return replace(request, fuse=1), f"fuse      nothing: {reason}"
    raise UserError(
        f"--fuse {request.fuse} is of no use here: {reason}; leave it out, or try another."
    )


def _memory_fault(
    configs: Sequence[ModelConfig], dataset: "Dataset", resources: TrialResources, count: int
) -> str:
    """Return why the groups do not fit into this machine's memory; "" if they do."""
    train = dataset.train
    trial_bytes = max(
        c.estimate_bytes(train.num_users, train.num_items, fused=True) for c in configs
    )
    needed_bytes, total_bytes = (
        trial_bytes * count * resources.max_concurrent,
        psutil.virtual_memory().total,
    )
    if needed_bytes <= total_bytes:
        return ""
    return (
        f"{resources.max_concurrent} times {count} trials at a time need about "
        f"{needed_bytes / 2**30:.1f} GiB, but this machine has {total_bytes / 2**30:.1f}"
    )
