"""Where trials run: CPUs and shares of GPUs for each, how many at a time, which Ray.

Ray's shares of a GPU are bookkeeping only, so each worker holds itself to its share here.
"""

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from diffrec.errors import UserError

_RESERVE = 0.95
"""Part of a GPU share that torch may use; the rest is for the process's CUDA context."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What every trial of a study is given."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 1
    custom: tuple[tuple[str, float], ...] = ()
    """Custom resources, (name, amount) each."""

    @property
    def bundle(self) -> dict[str, float]:
        """The request in Ray's words."""
        return {"CPU": self.cpus, "GPU": self.gpus, **dict(self.custom)}

    def doubled(self, most: "Placement") -> "Placement":
        """Return twice the share, up to `most`: half as many neighbours, so twice the memory."""
        gpus = min(2 * self.gpus, most.gpus)
        if gpus > 1:  # Ray gives whole GPUs or a part of one
            gpus = float(int(gpus))
        return replace(self, cpus=min(2 * self.cpus, most.cpus), gpus=gpus)

    def describe(self) -> str:
        """Return the placement as a phrase."""
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ", no GPU"
        custom = "".join(f", {amount:g} {name}" for name, amount in self.custom)
        return f"{self.max_concurrent} at a time, each with {self.cpus:g} CPU{gpus}{custom}"


ONE_CPU = Placement()


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for; None leaves it to `place`."""

    cpus: float | None = None
    gpus: float | Literal["auto"] | None = None
    """`auto` sizes the share from the memory that a trial needs (tune_runner.sizing)."""

    max_concurrent: int | None = None
    custom: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """What there is to run on."""

    cpus: float
    gpus: float
    dashboard: str | None = None
    """URL, where there is one."""

    node_cpus: float = 0.0
    """CPUs of the largest node."""

    node_gpus: float = 0.0
    custom: Mapping[str, float] = field(default_factory=dict)


def place(wish: Wish, cluster: Cluster, *, trials: int) -> Placement:
    """Fit a wish to what there is: no GPU means CPU, and as many trials at a time as fit.

    Args:
        wish: what the user asked for; `gpus="auto"` counts as a whole GPU until it is sized.
        cluster: what there is.
        trials: trials to run; more at a time would be of no use.

    Raises:
        UserError: more is asked for than there is.
    """
    asked_gpus = 1.0 if wish.gpus == "auto" else wish.gpus
    wanted = [("CPUs", wish.cpus, cluster.cpus), ("GPUs", asked_gpus, cluster.gpus)]
    wanted += [(repr(name), each, cluster.custom.get(name, 0.0)) for name, each in wish.custom]
    for name, asked, there in wanted:
        if asked is not None and asked > there:
            raise UserError(
                f"{asked:g} {name} per trial were asked for, but there are {there:g}; ask for less."
            )
    if asked_gpus is not None and asked_gpus > 1 and asked_gpus != int(asked_gpus):
        raise UserError(f"More than one GPU per trial must be whole, but got {asked_gpus:g}.")
    share = asked_gpus if asked_gpus is not None else min(cluster.gpus, 1.0)
    slots = _gpu_slots(share, cluster.gpus)
    each = wish.cpus
    if each is None:  # a trial on a GPU gets its part of the CPUs
        each = max(1.0, cluster.cpus // slots) if share else 1.0
    fit = min(int(cluster.cpus / each + 1e-9), trials, slots if share else trials)
    for name, amount in wish.custom:
        fit = min(fit, int(cluster.custom[name] / amount + 1e-9))
    fit = max(1, fit)
    return Placement(each, share, min(fit, wish.max_concurrent or fit), wish.custom)


def _gpu_slots(share: float, gpus: float) -> int:
    """Return how many trials the GPUs hold: a share never spans two of them."""
    if share == 0:
        return 0
    return int(gpus // share) if share >= 1 else int(gpus) * int(1 / share + 1e-9)


def local_cluster() -> Cluster:
    """Return the CPUs and GPUs of this machine that this process may use, without any engine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    else:
        driver = Path("/proc/driver/nvidia/gpus")
        gpus = len(list(driver.iterdir())) if driver.is_dir() else 0
    return Cluster(float(len(os.sched_getaffinity(0))), float(gpus))


def start_ray(address: str | None) -> Cluster:
    """Start Ray on this machine, on loopback, or join the cluster at `address`.

    Without an address Ray itself would join whatever cluster was last started on this machine, by
    whomever.

    Raises:
        UserError: no cluster answers at `address`.
    """
    if address is not None:
        _knock(address)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    url = None
    if not ray.is_initialized():  # as it is in a test or a notebook
        try:
            if address is None:
                context = ray.init(
                    address="local",
                    dashboard_host="127.0.0.1",
                    include_dashboard=has_dashboard(),
                    **quiet,
                )
            else:
                context = ray.init(address=address, **quiet)
        except Exception as error:  # Ray raises a bare one where it cannot start
            reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
            if address is None:
                raise UserError(
                    f"Ray did not start on this machine ({reason}); the machine may be too busy: "
                    "try again later, or join a cluster with --address."
                ) from error
            raise UserError(
                f"No Ray cluster answers at {address!r} ({reason}); start one or leave out "
                "--address."
            ) from None
        url = getattr(context, "dashboard_url", None)
    there = ray.cluster_resources()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Cluster(
        there.get("CPU", 1.0),
        there.get("GPU", 0.0),
        f"http://{url}{_token_hint()}" if url else None,
        node_cpus=max(node.get("CPU", 0.0) for node in nodes),
        node_gpus=max(node.get("GPU", 0.0) for node in nodes),
        custom={name: there[name] for name in there if name not in ("CPU", "GPU")},
    )


def _token_hint() -> str:
    """Say what the dashboard will ask for: Ray guards a cluster with a token."""
    if os.environ.get("RAY_AUTH_MODE") != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return ""
    return f" (asks for the token in {os.environ.get('RAY_AUTH_TOKEN_PATH', '~/.ray/auth_token')})"


def _knock(address: str) -> None:
    """Refuse an address where nothing listens; Ray itself would try for two minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto", which only Ray can look up
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"No Ray cluster answers at {address!r} ({error}); start one or leave out --address."
        ) from None


def has_dashboard() -> bool:
    """Say whether Ray was installed with its dashboard."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("aiohttp", "aiohttp_cors", "colorful"))


def hold_to_share(placement: Placement) -> str:
    """Keep this worker to what it was given; return torch's name of its device."""
    import torch

    torch.set_num_threads(max(1, int(placement.cpus)))
    if not placement.gpus or not torch.cuda.is_available():
        return "cpu"
    torch.cuda.set_per_process_memory_fraction(_RESERVE * min(1.0, placement.gpus))
    return "cuda"


def forget_gpu_memory(device: str) -> None:
    """Give back what the last trial of this worker held."""
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
