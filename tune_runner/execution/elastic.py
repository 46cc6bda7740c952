"""Follows a joined cluster that grows and shrinks: how many trials may run or wait for a node.

The demand that an autoscaler sees is Tune's pending placement groups, one for each trial that was
given out and has no node yet. They end with the driver, however it ends; a standing request
(`ray.autoscaler.sdk.request_resources`) would keep nodes, and cost, after a driver that was killed.
"""

import json
from collections.abc import Sequence

from tune_runner.execution.nodes import NodeLookup
from tune_runner.resources.allocation import TrialResources, slots_on
from tune_runner.resources.nodes import ClusterNode

MAX_PENDING = 100
"""Largest number of trials that wait for nodes at a time."""


class ElasticCluster:
    """Limit of the groups of trials given out, by the nodes as last looked up.

    Without an autoscaler it is what fits on the nodes. With one, trials beyond that are given out
    too, so that it sees them. A model-based sampler proposes few of them: it would not know the
    results of those that run.
    """

    def __init__(
        self,
        resources: TrialResources,
        nodes: NodeLookup,
        *,
        limit: int | None,
        learns: bool,
        grows: bool,
    ) -> None:
        """Look nothing up yet.

        Args:
            resources: what a group needs.
            nodes: of the cluster.
            limit: the user's own limit; None: there is none.
            learns: whether proposals depend on the results of earlier trials.
            grows: whether an autoscaler adds nodes.
        """
        self._resources, self._limit = resources, limit
        self._learns, self._grows = learns, grows
        self._nodes, self._slots = nodes, resources.max_concurrent
        self._counted: Sequence[ClusterNode] = ()
        """Nodes of the last look-up that were counted: there may be a thousand."""

    @property
    def slots(self) -> int:
        """Groups that fit on the nodes, as last looked up; at least 1."""
        return max(1, self._slots if self._limit is None else min(self._slots, self._limit))

    def max_given_out(self) -> int:
        """Return how many groups may run or wait for a node."""
        nodes = self._nodes()
        if nodes and nodes is not self._counted:  # none: Ray has not answered yet
            self._counted = nodes
            self._slots = sum(
                slots_on(node.resources, self._resources) for node in nodes if not node.leaves
            )
        pending = 0
        if self._grows:
            pending = max(1, self._slots // 4) if self._learns else MAX_PENDING
        total = max(1, self._slots + pending)
        return total if self._limit is None else min(total, self._limit)


def has_autoscaler() -> bool:
    """Return whether the connected cluster has an autoscaler, of either version."""
    from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
    from ray._private.state import state
    from ray.experimental.internal_kv import _internal_kv_get

    if state.get_cluster_config() is not None:
        return True
    status = _internal_kv_get(DEBUG_AUTOSCALING_STATUS)
    return bool(status) and "autoscaler_report" in json.loads(status)
