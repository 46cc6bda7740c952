"""Schema of the fields of KubeRay's objects that deploy/ uses, after its API reference, v1.6.2.

Written by hand from the "KubeRay CRD API reference" on docs.ray.io: no package that can be
installed here has the CRDs. Closed, so that a misspelt field, or one of another version, is found;
a new field has to be looked up and added. Pod templates are Kubernetes' own (kubernetes-validate).
"""

VERSION = "1.6.2"

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def closed(*required, **fields):
    """An object of these fields and no others."""
    known = {"type": "object", "properties": fields, "additionalProperties": False}
    return known | {"required": list(required)}


GROUP = {"rayStartParams": TEXTS, "template": {"type": "object"}}
CLUSTER = closed(
    "headGroupSpec",
    rayVersion=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=closed(
        idleTimeoutSeconds=NUMBER,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        version={"enum": ["v1", "v2"]},
    ),
    authOptions=closed(mode={"enum": ["disabled", "token"]}),
    headGroupSpec=closed("template", **GROUP),
    workerGroupSpecs={
        "type": "array",
        "items": closed(
            *("groupName", "minReplicas", "maxReplicas", "template"),
            groupName=TEXT,
            replicas=NUMBER,
            minReplicas=NUMBER,
            maxReplicas=NUMBER,
            **GROUP,
        ),
    },
)
JOB = closed(
    entrypoint=TEXT,
    shutdownAfterJobFinishes=FLAG,
    ttlSecondsAfterFinished=NUMBER,
    rayClusterSpec=CLUSTER,
)


def kind(name, spec):
    """An object of the API ray.io/v1."""
    head = {"apiVersion": {"const": "ray.io/v1"}, "kind": {"const": name}}
    return closed(*head, "metadata", "spec", **head, metadata=closed("name", name=TEXT), spec=spec)


KINDS = {"RayCluster": kind("RayCluster", CLUSTER), "RayJob": kind("RayJob", JOB)}
