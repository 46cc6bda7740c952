"""Does weighting by time help, which weighting, and does learning it beat a fixed curve?

Every weighting on DiffRec and on L-DiffRec. The cells of one base have the same network, noise,
rate, width and batches, and are queried at the same scale; they differ in the weighting alone: its
curve, and which vectors it touches (docs/science/temporal.md). `linear` is T-DiffRec's line on the
base's configuration, so its gain over the base is the line's; T-DiffRec's gain over DiffRec is not,
since the two are published with different rates, widths, chains and noise.
No guard: a cell is its weighting, even where validation would prefer the plain history.

Five paired seeds, since the published differences are of the size of the seeds' noise. A
comparison, so nothing is pruned (see clustering_ablation).
"""

from diffrec.config.presets_weighted import WEIGHTINGS
from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="temporal_weighting",
    question=(
        "Does weighting interactions by time improve DiffRec and L-DiffRec, and does a learned "
        "weighting beat a fixed one?"
    ),
    domains={
        "variant": Choice(
            "DiffRec",
            *(f"DiffRec+{name}" for name in WEIGHTINGS),
            "L-DiffRec",
            *(f"L-DiffRec+{name}" for name in WEIGHTINGS),
        ),
    },
    overrides={"temporal.inference_scale": 1.0, "temporal.guard": False},
    replicates=5,
    control={"variant": "DiffRec"},
)
