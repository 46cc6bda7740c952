"""Starts Ray on this machine, or joins a cluster and sends it this project's code.

A node of a cluster needs this project's third-party packages, and neither a checkout nor the data:
the packages of this project go there by Ray's runtime environment, the dataset by its object store.
It must see the location of the checkpoints: the studies' folder, or an object store.
"""

import logging
import os
import site
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from diffrec.errors import UserError
from tune_runner.execution.elastic import has_autoscaler
from tune_runner.execution.environment import for_workers
from tune_runner.execution.ray_files import (
    private_folder,
    protect_token,
    remove_at_exit,
    starting,
)
from tune_runner.resources.allocation import ClusterResources

PACKAGES = ("diffrec", "search_spaces", "tune_runner")
"""Packages of this project that a worker imports."""

_EXCLUDED = ["**/__pycache__"]

_STARTS = 3
"""Attempts to start Ray on a busy machine."""

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}


def start_ray(address: str | None, job: str = "") -> ClusterResources:
    """Start Ray on this machine, on loopback, or join the cluster at `address`.

    Args:
        address: of a cluster; None: this machine.
        job: name that Ray's dashboard shows, the study's.

    Raises:
        UserError: no cluster answers at `address`, or this machine is too busy to start one.
    """
    if address is not None:
        check_reachable(address)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    url = None
    if not ray.is_initialized():  # as it is in a test or a notebook
        context = _start_local(job) if address is None else connect(address, job=job)
        url = getattr(context, "dashboard_url", None)
    total = ray.cluster_resources()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return ClusterResources(
        total.get("CPU", 1.0),
        total.get("GPU", 0.0),
        f"http://{url}{_token_hint()}" if url else None,
        node_cpus=max(node.get("CPU", 0.0) for node in nodes),
        node_gpus=max(node.get("GPU", 0.0) for node in nodes),
        nodes=tuple(nodes),
        custom={name: total[name] for name in total if name not in ("CPU", "GPU")},
        grows=address is not None and has_autoscaler(),
    )


def runtime_environment(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return the runtime environment of the study's workers: packages and variables."""
    folders = [_package_folder(name) for name in packages]
    return {
        "py_modules": [str(folder) for folder in folders],
        "excludes": _EXCLUDED,
        "env_vars": for_workers(),
    }


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


def connect(
    address: str, packages: Sequence[str] = PACKAGES, *, tries: int = 1, job: str = ""
) -> Any:
    """Connect to the cluster at `address` with this project's packages.

    Args:
        address: where it answers.
        packages: sent to its workers.
        tries: attempts; a busy head node drops a client after a while.
        job: name that Ray's dashboard shows.

    Raises:
        UserError: none answers there.
    """
    import ray

    environment, reason = runtime_environment(packages), ""
    settings = {} if address.startswith("ray://") else {"job_config": _job_config(job)}
    for _ in range(tries):
        try:
            return ray.init(address=address, runtime_env=environment, **_QUIET, **settings)
        except Exception as error:  # noqa: BLE001 - Ray raises a bare one, too
            reason = _reason(error)
            ray.shutdown()
    raise _no_cluster(address, reason)


def _job_config(name: str, *folders: Path) -> Any:
    """Return a job whose workers import from `folders`, but not from the working directory.

    Ray's dashboard shows the name, unless it is empty.

    Ray puts the working directory first in the path of its workers, so that a user's own `torch.py`
    there would stand in for the library. It leaves this out where the runtime environment has a
    working directory, which would be copied; so the job says that it has one.
    """
    from ray.job_config import JobConfig

    class OwnPath(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    metadata = {"job_name": name} if name else {}
    return OwnPath(_py_driver_sys_path=[str(folder) for folder in folders], metadata=metadata)


def _no_cluster(address: str, reason: object) -> UserError:
    """Return the error for an address, naming the variable that it came from."""
    if variable := address_variable(address):
        named, remedy = f"{address!r}, which {variable} names", f"unset {variable}"
    else:
        named, remedy = repr(address), "leave out --address"
    return UserError(f"No Ray cluster answers at {named} ({reason}); start one or {remedy}.")


def address_variable(address: str) -> str:
    """Return "RAY_ADDRESS" if the address is that variable's, and "" if the user gave it."""
    return "RAY_ADDRESS" if address == os.environ.get("RAY_ADDRESS") else ""


def _start_local(job: str) -> Any:
    """Start Ray on this machine, again if the machine was too busy for Ray's own time limits.

    Ray gives up for good if one of its processes needs more than 15 seconds, or its raylet more
    than 30 seconds, to start. A failed try leaves processes behind, which are ended here.

    Its files lie where only this user can change them, and are removed when this process ends.

    Raises:
        UserError: no try succeeded; the message holds the reason of the first.
    """
    import ray

    folder = private_folder()
    protect_token()
    with starting(folder):
        before = _child_processes()
        context = _try_local(before, _temp_dir=str(folder), job_config=_job_config(job, *_beside()))
        started = _child_processes() - before

        def end_ray() -> None:
            workers = _descendants(started)
            ray.shutdown()
            end_processes(started | workers)

        remove_at_exit(Path(context.address_info["session_dir"]), end_ray)
    return context


def _beside() -> list[Path]:
    """Return the folder of this project's packages if Python would not look there by itself."""
    folder = Path(__file__).resolve().parents[2]
    return [] if folder in map(Path, site.getsitepackages()) else [folder]


def _try_local(before: set[psutil.Process], **settings: Any) -> Any:
    """Return what `ray.init` returns, once a try succeeds; end what the others left running."""
    import ray

    first_error: Exception | None = None
    dashboard = has_dashboard()  # once: Ray's dashboard replaces a module when it is imported
    for _ in range(_STARTS):
        try:
            # "local": without it Ray would join whatever cluster was started on this machine.
            return ray.init(
                address="local",
                dashboard_host="127.0.0.1",
                include_dashboard=dashboard,
                **_QUIET,
                **settings,
            )
        except Exception as error:  # noqa: BLE001 - Ray raises a bare one
            first_error = first_error or error
            ray.shutdown()
            end_processes(_child_processes() - before)
    assert first_error is not None
    raise UserError(
        f"Ray did not start on this machine in {_STARTS} tries ({_reason(first_error)}); the "
        "machine may be too busy: try again later, or join a cluster with --address."
    ) from first_error


def _child_processes() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _descendants(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    descendants: set[psutil.Process] = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            descendants.update(process.children(recursive=True))
    return descendants


def end_processes(processes: Iterable[psutil.Process], patience_seconds: float = 3.0) -> None:
    """Terminate processes, and kill those that are alive after `patience_seconds`."""
    processes = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience_seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=patience_seconds)


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error) else type(error).__name__


def _token_hint() -> str:
    """Return a hint at the token that Ray's dashboard requires; "" if it requires none."""
    if os.environ.get("RAY_AUTH_MODE") != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return ""
    return (
        f" (log in with the token in {os.environ.get('RAY_AUTH_TOKEN_PATH', '~/.ray/auth_token')})"
    )


def check_address(address: str) -> None:
    """Refuse an address that Ray would try for minutes, or take for another thing.

    Raises:
        UserError: it is neither `auto` nor a host and port, with or without `ray://`.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    number = int(port) if port.isdecimal() and len(port) <= 5 else 0
    if address == "auto" or (host and "/" not in host and 0 < number < 2**16):
        return
    if variable := address_variable(address):
        given, remedy = variable, f"correct or unset {variable}"
    else:
        given, remedy = "--address", "correct it, or leave it out for Ray on this machine"
    raise UserError(
        f"{given} must be HOST:PORT, ray://HOST:PORT or auto, but got {address!r}; {remedy}."
    )


def check_reachable(address: str) -> None:
    """Refuse an address that nothing listens on; Ray itself would try for two minutes."""
    check_address(address)
    if address == "auto":  # which only Ray can look up
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, UnicodeError) as error:
        raise _no_cluster(address, error) from None


def has_dashboard() -> bool:
    """Return whether Ray was installed with its dashboard.

    `find_spec` raises ValueError for `colorful` once it is imported: it replaces its own module.
    """
    packages = ("aiohttp", "aiohttp_cors", "colorful")
    return all(name in sys.modules or find_spec(name) is not None for name in packages)
