"""temporal_weighting's cells, each with the rate of its preset, trained in bf16."""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="temporal_cells",
    question=(
        "Does weighting interactions by time improve DiffRec and L-DiffRec, and does a learned "
        "weighting beat a fixed one?"
    ),
    domains={
        "variant": Choice(
            "DiffRec",
            "T-DiffRec",
            "DiffRec+exponential",
            "DiffRec+learned_steps",
            "DiffRec+learned_recency",
            "L-DiffRec",
            "LT-DiffRec",
            "L-DiffRec+exponential",
            "L-DiffRec+learned_steps",
            "L-DiffRec+learned_recency",
        ),
    },
    overrides={"training.precision": "bf16"},
    replicates=5,
    control={"variant": "DiffRec"},
)
