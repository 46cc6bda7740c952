"""Nodes of a cluster as a study counts them: what they have, and the names of their type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_GROUP_LABEL = "ray.io/node-group"
"""Label that Ray's autoscaler and KubeRay set to the name of a node's type or group."""

_IDENTITY_LABEL = "ray.io/node-id"
_HEAD = "node:__internal_head__"
_OF_EVERY_NODE = ("CPU", "memory", "object_store_memory")


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """Node that is alive."""

    type: str = "head"
    """Name of its type or group, or else `head` or `worker`."""

    names: tuple[str, ...] = ("head",)
    """Names that a price may be given for, the most specific one first: its type or group, the
    values of its labels, its resources (`GPU`), and `head` or `worker`."""

    resources: Mapping[str, float] = field(default_factory=dict)
    leaves: bool = False
    """True while it is being drained: it is paid for, and gets no more trials."""


def node_from_ray(row: Mapping[str, Any], *, leaves: bool = False) -> ClusterNode:
    """Return a node from a row of `ray.nodes()`."""
    resources, labels = dict(row["Resources"]), dict(row.get("Labels") or {})
    role = "head" if _HEAD in resources else "worker"
    group = labels.pop(_GROUP_LABEL, "")
    labels.pop(_IDENTITY_LABEL, None)
    special = [n for n in resources if n not in _OF_EVERY_NODE and not n.startswith("node:")]
    names = tuple(filter(None, (group, *labels.values(), *special, role)))
    return ClusterNode(group or role, names, resources, leaves)
