"""Does the whole service work here? Two variants, two rates, few epochs: under a minute."""

from search_spaces.domains import Choice
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="smoke",
    question="Does a whole study, from the first trial to the table, work on this machine?",
    domains={
        "variant": Choice("DiffRec", "L-DiffRec"),
        "training.learning_rate": Choice(1e-3, 1e-4),
    },
    overrides={"training.max_epochs": 6, "training.eval_every": 2},
)
