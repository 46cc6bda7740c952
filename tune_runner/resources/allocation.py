"""Allocation of CPUs and GPU shares to trials, and how many trials run at a time.

Ray only counts shares of a GPU; each worker limits itself to its share (see limits).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from diffrec.errors import UserError


@dataclass(frozen=True, slots=True)
class TrialResources:
    """Resources of each trial of a study, or of each group that is trained together."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 1
    custom: tuple[tuple[str, float], ...] = ()
    """Custom resources, (name, amount) each."""

    fuse: int = 1
    """Largest number of trials that share them, trained as one computation."""

    @property
    def bundle(self) -> dict[str, float]:
        """Resources as Ray names them."""
        return {"CPU": self.cpus, "GPU": self.gpus, **dict(self.custom)}

    def doubled(self, limit: "TrialResources") -> "TrialResources":
        """Return twice the resources, up to `limit`: half as many trials, twice the memory."""
        gpus = min(2 * self.gpus, limit.gpus)
        if gpus > 1:  # Ray gives whole GPUs or a part of one
            gpus = float(int(gpus))
        return replace(self, cpus=min(2 * self.cpus, limit.cpus), gpus=gpus)

    def describe_one(self) -> str:
        """Return what one trial or group has as a phrase."""
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ", no GPU"
        custom = "".join(f", {amount:g} {name}" for name, amount in self.custom)
        return f"{self.cpus:g} CPU{gpus}{custom}"

    def describe(self) -> str:
        """Return the resources as a phrase."""
        groups = f" groups of up to {self.fuse} trials" if self.fuse > 1 else ""
        return f"{self.max_concurrent}{groups} at a time, each with {self.describe_one()}"


ONE_CPU = TrialResources()


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """Resources that the user has requested; None leaves a value to `allocate`."""

    cpus: float | None = None
    gpus: float | Literal["auto"] | None = None
    """`auto` computes the share from a trial's memory (tune_runner.probe.gpu_share)."""

    max_concurrent: int | None = None
    custom: tuple[tuple[str, float], ...] = ()
    fuse: int | Literal["auto"] = 1
    """Largest number of trials that are trained as one computation; `auto` is resolved by a
    measurement (tune_runner.probe.fusion)."""


@dataclass(frozen=True, slots=True)
class ClusterResources:
    """Resources of this machine or of a cluster."""

    cpus: float
    gpus: float
    dashboard: str | None = None
    """URL of Ray's dashboard, if there is one."""

    node_cpus: float = 0.0
    """CPUs of the largest node."""

    node_gpus: float = 0.0
    custom: Mapping[str, float] = field(default_factory=dict)
    nodes: tuple[Mapping[str, float], ...] = ()
    """Resources of each node, as Ray names them; empty: there is one node."""

    grows: bool = False
    """True if an autoscaler adds nodes; then more may be requested than there is now."""

    @property
    def each_node(self) -> tuple[Mapping[str, float], ...]:
        """Resources of each node; of one that has all if they are not known."""
        whole = {"CPU": self.cpus, "GPU": self.gpus, **self.custom}
        return self.nodes or (whole,)

    def largest_node(self, resources: TrialResources) -> TrialResources:
        """Return the most that one node can give to a trial that starts with `resources`."""
        return TrialResources(
            max(self.node_cpus, resources.cpus), max(self.node_gpus, resources.gpus)
        )


def check_fits(request: ResourceRequest, cluster: ClusterResources) -> None:
    """Refuse a request for more than is available, before anything is written or measured.

    Raises:
        UserError: more is requested for one trial than there is.
    """
    gpus = _requested_gpus(request)
    requested = [("CPUs", "CPU", request.cpus), ("GPUs", "GPU", gpus)]
    requested += [(repr(name), name, amount) for name, amount in request.custom]
    nodes = cluster.each_node
    for label, name, amount in requested:
        available = max(node.get(name, 0.0) for node in nodes)
        if amount is not None and amount > available and not cluster.grows:
            there = "there are" if len(nodes) == 1 else "the largest node has"
            raise UserError(
                f"{amount:g} {label} per trial were requested, but {there} {available:g}; request "
                "fewer."
            )
    if gpus is not None and gpus > 1 and gpus % 1:
        raise UserError(f"More than one GPU per trial must be whole, but got {gpus:g}.")


def allocate(request: ResourceRequest, cluster: ClusterResources, *, trials: int) -> TrialResources:
    """Fit a request to a cluster: CPUs if it has no GPU, and as many trials at a time as fit.

    Args:
        request: what the user has requested; `gpus="auto"` counts as a whole GPU and `fuse="auto"`
            as 1 until they are measured.
        cluster: what is available.
        trials: trials to run; no more than these run at a time.

    Raises:
        UserError: more is requested than is available (`check_fits`).
    """
    check_fits(request, cluster)
    gpus, nodes = _requested_gpus(request), cluster.each_node
    share = min(cluster.gpus, 1.0) if gpus is None else gpus
    cpus = request.cpus
    if cpus is None:  # a trial on a GPU gets an equal part of its node's CPUs
        parts = [
            node.get("CPU", 0.0) // slots
            for node in nodes
            if (slots := _gpu_slots(share, node.get("GPU", 0.0)))
        ]
        cpus = max(1.0, min(parts, default=1.0))  # so that a trial fits on every type of node
    placed = TrialResources(cpus, share, custom=request.custom)
    concurrent = min(trials, sum(slots_on(node, placed) for node in nodes))
    has_workers = any(node.get("CPU", 0.0) for node in nodes)  # else they may still be started
    if not concurrent and has_workers and not cluster.grows:
        raise UserError(
            f"No node has room for a trial of {placed.describe_one()}; request less, for example "
            "with --cpus-per-trial."
        )
    concurrent = max(1, concurrent)
    return TrialResources(
        cpus,
        share,
        min(concurrent, request.max_concurrent or concurrent),
        request.custom,
        fuse=1 if request.fuse == "auto" else request.fuse,
    )


def slots_on(node: Mapping[str, float], resources: TrialResources) -> int:
    """Return how many trials fit on a node of these resources, as Ray names them."""
    slots = int(node.get("CPU", 0.0) / resources.cpus + 1e-9)
    if resources.gpus:
        slots = min(slots, _gpu_slots(resources.gpus, node.get("GPU", 0.0)))
    for name, amount in resources.custom:
        slots = min(slots, int(node.get(name, 0.0) / amount + 1e-9))
    return slots


def _requested_gpus(request: ResourceRequest) -> float | None:
    return 1.0 if request.gpus == "auto" else request.gpus


def _gpu_slots(share: float, gpus: float) -> int:
    """Return how many trials fit on the GPUs; a share never spans two of them."""
    if share == 0:
        return 0
    return int(gpus // share) if share >= 1 else int(gpus) * int(1 / share + 1e-9)


def local_cluster() -> ClusterResources:
    """Return the CPUs and GPUs of this machine that this process may use, without importing Ray."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    else:
        driver = Path("/proc/driver/nvidia/gpus")
        gpus = len(list(driver.iterdir())) if driver.is_dir() else 0
    return ClusterResources(float(len(os.sched_getaffinity(0))), float(gpus))
