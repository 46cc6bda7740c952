"""A first search space of one's own: the learning rate and the length of the chain, by TPE."""

from search_spaces import Choice, LogUniform, SearchSpace

SPACE = SearchSpace(
    name="my_rates",
    question="Which learning rate serves DiffRec best?",
    variant="DiffRec",
    domains={
        "training.learning_rate": LogUniform(1e-5, 1e-2),
        "diffusion.num_steps": Choice(5, 40),
    },
    strategy="tpe",
    trials=20,
)
