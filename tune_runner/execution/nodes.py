"""Looks up the nodes of the connected cluster, every two seconds.

Ray's GCS may be away for a while (restarted, or behind a broken line): then the nodes are those of
the last look-up, and the next one is made two seconds later.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from tune_runner.resources.nodes import ClusterNode, node_from_ray

logger = logging.getLogger(__name__)

PERIOD_SECONDS = 2.0


class NodeLookup:
    """Nodes that are alive, as last looked up."""

    def __init__(self, look_up: Callable[[], Sequence[ClusterNode]] | None = None) -> None:
        """Look nothing up yet.

        Args:
            look_up: returns the nodes; None: asks Ray.
        """
        self._look_up = look_up or nodes_now
        self._nodes: Sequence[ClusterNode] = ()
        self._next_look = 0.0

    def __call__(self) -> Sequence[ClusterNode]:
        """Return the nodes; those of the last look-up if Ray does not answer."""
        now = time.monotonic()
        if now >= self._next_look:
            try:
                self._nodes = self._look_up()
            except Exception as error:  # noqa: BLE001 - Ray raises whatever its transport does
                logger.warning("The cluster's nodes cannot be looked up now: %s", error)
            # from the end: a look-up may wait for an answer for longer than the period
            self._next_look = time.monotonic() + PERIOD_SECONDS
        return self._nodes


def nodes_now() -> list[ClusterNode]:
    """Return the nodes that are alive; Ray must be connected."""
    import ray
    from ray._private.state import state

    leaving = state.get_draining_nodes()
    rows: list[dict[str, Any]] = ray.nodes()
    return [node_from_ray(r, leaves=r["NodeID"] in leaving) for r in rows if r["Alive"]]
