"""temporal_weighting's cells, each with the rate of its preset, trained in bf16."""

from dataclasses import replace

from search_spaces.catalog.temporal_weighting import SPACE as WEIGHTINGS

SPACE = replace(
    WEIGHTINGS,
    name="temporal_cells",
    domains={"variant": WEIGHTINGS.domains["variant"]},
    conditions={},
    overrides={"training.precision": "bf16"},
)
