"""Does weighting by time help, which weighting, and does learning it beat a fixed curve?

Every weighting in item space and in latent space, once, as its preset has it; only the rate of the
learned W is tried at two values. Fourteen cells, five paired seeds, since the published differences
are of the size of the seeds' noise. A comparison, so nothing is pruned (see clustering_ablation).
"""

from search_spaces.definition import Condition
from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

_LEARNED = (
    "DiffRec+learned_steps",
    "DiffRec+learned_recency",
    "L-DiffRec+learned_steps",
    "L-DiffRec+learned_recency",
)

SPACE = SearchSpace(
    name="temporal_weighting",
    question=(
        "Does weighting interactions by time improve DiffRec and L-DiffRec, and does a learned "
        "weighting beat a fixed one?"
    ),
    domains={
        "variant": Choice(
            "DiffRec",
            "T-DiffRec",
            "DiffRec+exponential",
            "L-DiffRec",
            "LT-DiffRec",
            "L-DiffRec+exponential",
            *_LEARNED,
        ),
        "temporal.ltw_learning_rate": Choice(0.01, 0.1),
    },
    conditions={"temporal.ltw_learning_rate": Condition("variant", _LEARNED)},
    replicates=5,
    control={"variant": "DiffRec"},
)
