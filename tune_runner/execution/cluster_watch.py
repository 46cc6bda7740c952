"""Notices that Ray has died under a running study: its GCS, or the raylet of this machine.

Ray's own calls wait for a lost GCS for a minute, and then abort the process. This thread checks
whether their ports are open, without calling Ray.
"""

import socket
import threading
from collections.abc import Callable
from typing import Self

import psutil

from tune_runner.execution.cluster import end_processes

_PERIOD_SECONDS = 1.0
_CONNECT_SECONDS = 10.0
_LOCAL_MISSES, _CLUSTER_MISSES = 2, 20
"""How often in a row a port must be closed: the GCS of a cluster may come back, one of our own does
not."""


class ClusterWatch:
    """Thread that calls `on_lost` once if Ray is lost while the context is open."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        """Note where Ray answers; it must be connected.

        Args:
            on_lost: called in this thread with the name of what was lost.
        """
        import ray

        context = ray.get_runtime_context()
        local_node = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
        self._ports = {
            "Ray's GCS": _split(context.gcs_address),
            "Ray's raylet": (local_node["NodeManagerAddress"], int(local_node["NodeManagerPort"])),
        }
        self._on_lost = on_lost
        self._processes = set(psutil.Process().children(recursive=True))
        self._misses_allowed = _LOCAL_MISSES if self._processes else _CLUSTER_MISSES
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cluster-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        # An error of Ray's may come before the thread has noticed the reason: it decides then.
        if kind is not None and issubclass(kind, Exception) and self._lost() is not None:
            self._thread.join()
        self._closed.set()

    def end_ray(self) -> None:
        """End the processes of Ray that this one has started, workers included."""
        end_processes(self._processes | set(psutil.Process().children(recursive=True)))

    def _watch(self) -> None:
        misses = 0
        while not self._closed.wait(_PERIOD_SECONDS):
            lost = self._lost()
            misses = 0 if lost is None else misses + 1
            if lost is not None and misses >= self._misses_allowed:
                self._on_lost(lost)
                return
            if self._processes:  # a worker whose raylet is gone has another parent
                self._processes |= set(psutil.Process().children(recursive=True))

    def _lost(self) -> str | None:
        """Return the name of a process that no longer listens; None if both do."""
        return next((name for name, port in self._ports.items() if not _listens(*port)), None)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _listens(host: str, port: int) -> bool:
    """Return whether a port is open; one that is merely slow counts as open."""
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return True
