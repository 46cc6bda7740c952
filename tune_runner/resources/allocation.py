"""Where trials run: CPUs and shares of GPUs for each, how many at a time.

Ray's shares of a GPU are bookkeeping only, so each worker holds itself to its share here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from diffrec.errors import UserError


@dataclass(frozen=True, slots=True)
class TrialResources:
    """What every trial of a study is given."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 1
    custom: tuple[tuple[str, float], ...] = ()
    """Custom resources, (name, amount) each."""

    fuse: int = 1
    """Trials at most that share it, trained as one computation."""

    @property
    def bundle(self) -> dict[str, float]:
        """The request in Ray's words."""
        return {"CPU": self.cpus, "GPU": self.gpus, **dict(self.custom)}

    def doubled(self, limit: "TrialResources") -> "TrialResources":
        """Return twice the share, up to `limit`: half as many neighbours, so twice the memory."""
        gpus = min(2 * self.gpus, limit.gpus)
        if gpus > 1:  # Ray gives whole GPUs or a part of one
            gpus = float(int(gpus))
        return replace(self, cpus=min(2 * self.cpus, limit.cpus), gpus=gpus)

    def describe(self) -> str:
        """Return the placement as a phrase."""
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ", no GPU"
        custom = "".join(f", {amount:g} {name}" for name, amount in self.custom)
        groups = f" groups of up to {self.fuse} trials" if self.fuse > 1 else ""
        held = f"each with {self.cpus:g} CPU{gpus}{custom}"
        return f"{self.max_concurrent}{groups} at a time, {held}"


ONE_CPU = TrialResources()


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What the user asked for; None leaves it to `place`."""

    cpus: float | None = None
    gpus: float | Literal["auto"] | None = None
    """`auto` sizes the share from the memory that a trial needs (tune_runner.probe.gpu_share)."""

    max_concurrent: int | None = None
    custom: tuple[tuple[str, float], ...] = ()
    fuse: int | Literal["auto"] = 1
    """Trials at most that are trained as one computation; `auto` is settled by measuring
    (tune_runner.probe.fusion)."""


@dataclass(frozen=True, slots=True)
class ClusterResources:
    """What there is to run on."""

    cpus: float
    gpus: float
    dashboard: str | None = None
    """URL, where there is one."""

    node_cpus: float = 0.0
    """CPUs of the largest node."""

    node_gpus: float = 0.0
    custom: Mapping[str, float] = field(default_factory=dict)


def allocate(request: ResourceRequest, cluster: ClusterResources, *, trials: int) -> TrialResources:
    """Fit a request to what there is: no GPU means CPU, and as many trials at a time as fit.

    Args:
        request: what the user asked for; `gpus="auto"` counts as a whole GPU until it is sized,
            `fuse="auto"` as none until it is measured.
        cluster: what there is.
        trials: trials to run; more at a time would be of no use.

    Raises:
        UserError: more is asked for than there is.
    """
    asked_gpus = 1.0 if request.gpus == "auto" else request.gpus
    wanted = [("CPUs", request.cpus, cluster.cpus), ("GPUs", asked_gpus, cluster.gpus)]
    wanted += [(repr(name), each, cluster.custom.get(name, 0.0)) for name, each in request.custom]
    for name, asked, there in wanted:
        if asked is not None and asked > there:
            raise UserError(
                f"{asked:g} {name} per trial were asked for, but there are {there:g}; ask for less."
            )
    if asked_gpus is not None and asked_gpus > 1 and asked_gpus != int(asked_gpus):
        raise UserError(f"More than one GPU per trial must be whole, but got {asked_gpus:g}.")
    share = asked_gpus if asked_gpus is not None else min(cluster.gpus, 1.0)
    slots = _gpu_slots(share, cluster.gpus)
    each = request.cpus
    if each is None:  # a trial on a GPU gets its part of the CPUs
        each = max(1.0, cluster.cpus // slots) if share else 1.0
    fit = min(int(cluster.cpus / each + 1e-9), trials, slots if share else trials)
    for name, amount in request.custom:
        fit = min(fit, int(cluster.custom[name] / amount + 1e-9))
    fit = max(1, fit)
    fuse = 1 if request.fuse == "auto" else request.fuse
    return TrialResources(
        each, share, min(fit, request.max_concurrent or fit), request.custom, fuse
    )


def _gpu_slots(share: float, gpus: float) -> int:
    """Return how many trials the GPUs hold: a share never spans two of them."""
    if share == 0:
        return 0
    return int(gpus // share) if share >= 1 else int(gpus) * int(1 / share + 1e-9)


def local_cluster() -> ClusterResources:
    """Return the CPUs and GPUs of this machine that this process may use, without any engine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    else:
        driver = Path("/proc/driver/nvidia/gpus")
        gpus = len(list(driver.iterdir())) if driver.is_dir() else 0
    return ClusterResources(float(len(os.sched_getaffinity(0))), float(gpus))
