"""How long should the chain be, and how much should a query be noised first?

Chain lengths by shares of them as inference noise, so `num_inference_noise_steps <= num_steps`
holds in every cell. The control is a short chain without inference noise. A comparison, so
nothing is pruned (see clustering_ablation).
"""

from search_spaces.domains import Choice, FractionOf
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="diffusion_steps",
    question=(
        "Does DiffRec gain from a longer diffusion chain, or from noising the history before it is "
        "denoised?"
    ),
    variant="DiffRec",
    domains={
        "diffusion.num_steps": Choice(5, 10, 40, 100),
        "diffusion.num_inference_noise_steps": FractionOf(
            "diffusion.num_steps", Choice(0.0, 0.25, 0.5)
        ),
    },
    replicates=3,
    control={"diffusion.num_steps": 5, "diffusion.num_inference_noise_steps": 0},
)
