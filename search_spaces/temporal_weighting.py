"""Does weighting by time help, which weighting, and does learning it beat a fixed curve?

Every weighting in item space and in latent space, each with the settings that it has: the oldest
weight of the linear one, the half-life of the exponential, the learning rate of the learned. Five
paired seeds, since the published differences are of the size of the seeds' noise. A comparison, so
nothing is pruned (see clustering_ablation).
"""

from search_spaces.domains import Choice
from search_spaces.space import Condition, SearchSpace

_LINEAR = ("T-DiffRec", "LT-DiffRec")
_EXPONENTIAL = ("DiffRec+exponential", "L-DiffRec+exponential")
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
        "variant": Choice("DiffRec", "L-DiffRec", *_LINEAR, *_EXPONENTIAL, *_LEARNED),
        "temporal.weight_min": Choice(0.1, 0.5),
        "temporal.half_life": Choice(5.0, 20.0),
        "temporal.ltw_learning_rate": Choice(0.01, 0.05),
    },
    conditions={
        "temporal.weight_min": Condition("variant", _LINEAR),
        "temporal.half_life": Condition("variant", _EXPONENTIAL),
        "temporal.ltw_learning_rate": Condition("variant", _LEARNED),
    },
    replicates=5,
    control={"variant": "DiffRec"},
)
