"""How much do recency weights improve DiffRec with the hyperparameters that validation prefers?

`temporal_weighting` leaves every base as published. On ML-1M validation prefers another: five
steps, a third of the published rate, and so longer training (docs/science/temporal.md). Here all
cells share it, the plain network included. The scale of the query is a factor of its own: a plain
history gains by it, too, so weights are compared at the same scale. Five seeds.
"""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="recency",
    question="How much do recency-weighted queries improve a well-trained DiffRec?",
    domains={
        "variant": Choice(
            "DiffRec", "DiffRec+exponential", "DiffRec+learned_steps", "DiffRec+learned_recency"
        ),
        "temporal.inference_scale": Choice(1.0, 2.0),
    },
    overrides={
        "diffusion.num_steps": 5,
        "training.learning_rate": 3e-4,
        "denoiser.hidden_dims": [200, 600],
        "temporal.guard": False,
    },
    replicates=5,
    control={"variant": "DiffRec", "temporal.inference_scale": 1.0},
)
