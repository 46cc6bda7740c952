"""`joint`, trained in bf16."""

from dataclasses import replace

from search_spaces.joint import SPACE as JOINT

SPACE = replace(
    JOINT, name="joint_bf16", overrides={**JOINT.overrides, "training.precision": "bf16"}
)
