"""The published variants and both learned weightings with ten times the released patience, in bf16.

To be read beside a study of the same variants with the released patience:
`python -m analysis LONG --against SHORT`.
"""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="patience_200",
    question="Does waiting ten times as long make the variants better, and which?",
    domains={
        "variant": Choice(
            "DiffRec",
            "L-DiffRec",
            "T-DiffRec",
            "LT-DiffRec",
            "DiffRec+learned_steps",
            "L-DiffRec+learned_recency",
        ),
    },
    overrides={"training.precision": "bf16", "training.patience": 200},
    replicates=3,
    control={"variant": "DiffRec"},
)
