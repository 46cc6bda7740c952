"""How much of the published gaps is patience?

The reproduction study found that half of its runs had not converged and that waiting longer was
worth more than any of its changes. Every variant with the released patience (20 epochs) up to ten
times that. Nothing is pruned: a pruner is an early stop of its own.
"""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="patience",
    question="Does waiting longer before training stops make the variants better, and which?",
    domains={
        "variant": Choice("DiffRec", "L-DiffRec", "T-DiffRec", "LT-DiffRec"),
        "training.patience": Choice(20, 50, 100, 200),
    },
    replicates=3,
    control={"variant": "DiffRec", "training.patience": 20},
)
