"""Notice that the node of this worker is about to be taken away."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_PERIOD_SECONDS = 5.0


class DrainNotice:
    """Looks up whether Ray drains this node, at most every five seconds.

    A node is drained before it is preempted or scaled down; its actors run until the deadline.
    Ray's GCS may be away for a while: the worker trains on, and looks again five seconds later.
    """

    def __init__(self, look_up: Callable[[], bool] | None = None) -> None:
        """Look nothing up yet.

        Args:
            look_up: returns whether the node is being drained; None: asks Ray.
        """
        self._look_up = look_up or _is_draining
        self._next_look = 0.0
        self._draining = False

    def __call__(self) -> bool:
        """Return whether the node is being drained; once true, it stays so."""
        now = time.monotonic()
        if not self._draining and now >= self._next_look:
            try:
                self._draining = self._look_up()
            except Exception as error:  # noqa: BLE001 - Ray raises whatever its transport does
                logger.warning("Whether this node is drained cannot be looked up now: %s", error)
            # from the end: a look-up may wait for an answer for longer than the period
            self._next_look = time.monotonic() + _PERIOD_SECONDS
        return self._draining


def _is_draining() -> bool:
    import ray
    from ray._private.state import state

    if not ray.is_initialized():  # a trial that is trained outside of Ray
        return False
    return ray.get_runtime_context().get_node_id() in state.get_draining_nodes()
