"""Notice that the node of this worker is about to be taken away."""

import time

_PERIOD_SECONDS = 5.0


class DrainNotice:
    """Looks up whether Ray drains this node, at most every five seconds.

    A node is drained before it is preempted or scaled down; its actors run until the deadline.
    """

    def __init__(self) -> None:
        self._next_look = 0.0
        self._draining = False

    def __call__(self) -> bool:
        """Return whether the node is being drained; once true, it stays so."""
        now = time.monotonic()
        if not self._draining and now >= self._next_look:
            self._next_look = now + _PERIOD_SECONDS
            self._draining = _is_draining()
        return self._draining


def _is_draining() -> bool:
    import ray
    from ray._private.state import state

    if not ray.is_initialized():  # a trial that is trained outside of Ray
        return False
    return ray.get_runtime_context().get_node_id() in state.get_draining_nodes()
