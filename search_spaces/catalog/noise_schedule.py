"""Search for the noise of the diffusion: family of variances, amount, lower and upper bound.

The bounds and their scale exist only for the linear families; cosine and binomial have none, so
they are neither sampled nor logged there. The upper bound is drawn as a multiple of the lower, and
`noise_min <= noise_max` cannot be violated.

Sampled, not a grid: four dimensions of which three are intervals. The median pruner stops poor
trials after a tenth of the epochs; the question is for the best, not for a comparison of cells.
"""

from search_spaces.definition import Condition
from search_spaces.domains import Choice, LogUniform, ScaledFrom
from search_spaces.space import SearchSpace

_LINEAR = Condition("diffusion.beta_schedule", ("linear", "linear_variance"))

SPACE = SearchSpace(
    name="noise_schedule",
    question="Which family of noise, how much of it and over which range serves DiffRec best?",
    variant="DiffRec",
    domains={
        "diffusion.beta_schedule": Choice("linear_variance", "linear", "cosine", "binomial"),
        "diffusion.noise_scale": LogUniform(1e-4, 1.0),
        "diffusion.noise_min": LogUniform(1e-4, 1e-2),
        "diffusion.noise_max": ScaledFrom("diffusion.noise_min", LogUniform(1.0, 50.0)),
    },
    conditions={
        "diffusion.noise_scale": _LINEAR,
        "diffusion.noise_min": _LINEAR,
        "diffusion.noise_max": _LINEAR,
    },
    strategy="tpe",
    trials=40,
    pruner="median",
    start_published=True,
)
