"""Where trials run: CPUs and shares of GPUs for each, how many at a time, which Ray.

Ray's shares of a GPU are bookkeeping only, so each worker holds itself to its share here.
"""

import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffrec.errors import UserError

_RESERVE = 0.95
"""Part of a GPU share that torch may use; the rest is for the process's CUDA context."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What every trial of a study is given."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 1

    @property
    def resources(self) -> dict[str, float]:
        """The request in Ray's words."""
        return {"cpu": self.cpus, "gpu": self.gpus}

    def describe(self) -> str:
        """Return the placement as a phrase."""
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ", no GPU"
        return f"{self.max_concurrent} at a time, each with {self.cpus:g} CPU{gpus}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for; None leaves it to `place`."""

    cpus: float | None = None
    gpus: float | None = None
    max_concurrent: int | None = None


def place(wish: Wish, *, cpus: float, gpus: float, trials: int) -> Placement:
    """Fit a wish to the machine: no GPU means CPU, and as many trials at a time as fit.

    Args:
        wish: what the user asked for.
        cpus: CPUs that there are.
        gpus: GPUs that there are.
        trials: trials to run; more at a time would be of no use.

    Raises:
        UserError: more is asked for than there is.
    """
    for name, asked, there in (("CPUs", wish.cpus, cpus), ("GPUs", wish.gpus, gpus)):
        if asked is not None and asked > there:
            raise UserError(
                f"{asked:g} {name} per trial were asked for, but there are {there:g}; ask for less."
            )
    if wish.gpus is not None and wish.gpus > 1 and wish.gpus != int(wish.gpus):
        raise UserError(f"More than one GPU per trial must be whole, but got {wish.gpus:g}.")
    share = wish.gpus if wish.gpus is not None else min(gpus, 1.0)
    slots = _gpu_slots(share, gpus)
    each = wish.cpus
    if each is None:  # a trial on a GPU gets its part of the CPUs
        each = max(1.0, cpus // slots) if share else 1.0
    fit = max(1, min(int(cpus / each + 1e-9), trials, slots if share else trials))
    return Placement(each, share, min(fit, wish.max_concurrent or fit))


def _gpu_slots(share: float, gpus: float) -> int:
    """Return how many trials the GPUs hold: a share never spans two of them."""
    if share == 0:
        return 0
    return int(gpus // share) if share >= 1 else int(gpus) * int(1 / share + 1e-9)


def local_resources() -> tuple[float, float]:
    """Return the CPUs and GPUs of this machine that this process may use, without any engine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    else:
        driver = Path("/proc/driver/nvidia/gpus")
        gpus = len(list(driver.iterdir())) if driver.is_dir() else 0
    return float(len(os.sched_getaffinity(0))), float(gpus)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Ray that is running."""

    cpus: float
    gpus: float
    dashboard: str | None
    """URL, where there is one."""


def start_ray(address: str | None) -> Cluster:
    """Start Ray on this machine, on loopback, or join the cluster at `address`.

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
                    dashboard_host="127.0.0.1", include_dashboard=has_dashboard(), **quiet
                )
            else:
                context = ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            if address is None:
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"No Ray cluster answers at {address!r} ({reason}); start one or leave out "
                "--address."
            ) from None
        url = getattr(context, "dashboard_url", None)
    there = ray.cluster_resources()
    dashboard = f"http://{url}{_token_hint()}" if url else None
    return Cluster(there.get("CPU", 1.0), there.get("GPU", 0.0), dashboard)


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
