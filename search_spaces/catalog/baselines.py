"""How well do simple recommenders do here, when they are tuned as carefully as the others?

Drawn at random and shared equally: 15 points of each family that has something to tune, its usual
values first, and one of Popularity, which has nothing. Random draws, not TPE, since EASE,
RecencyEASE and DirectedRidge share a parameter: a sampler that learns would tune one by what was
good for the others.
Nothing is pruned: most trials are solved in one step, and the rows are compared.

For a row of each baseline beside the cells of any grid, append `+baselines` to its name
(`--space clustering_ablation+baselines`).
"""

from search_spaces.definition import Condition
from search_spaces.domains import Choice, IntUniform, LogUniform, Uniform
from search_spaces.space import SearchSpace

_LINEAR = Condition("variant", ("EASE", "RecencyEASE", "DirectedRidge"))
_RIDGE = Condition("variant", ("DirectedRidge",))
_KNN = Condition("variant", ("ItemKNN",))
_VAE = Condition("variant", ("MultVAE",))

SPACE = SearchSpace(
    name="baselines",
    question="How well do simple baselines recommend when each is tuned with the same budget?",
    domains={
        "variant": Choice(
            "Popularity", "ItemKNN", "EASE", "RecencyEASE", "DirectedRidge", "MultVAE"
        ),
        "num_neighbours": IntUniform(5, 1000, log=True),
        "shrinkage": Uniform(0.0, 100.0),
        "regularization": LogUniform(10.0, 1e4),
        "half_life": LogUniform(1.0, 200.0),
        "past_half_life": LogUniform(1.0, 50.0),
        "future_half_life": LogUniform(1.0, 50.0),
        "popularity_exponent": Uniform(0.0, 0.5),
        "training.learning_rate": LogUniform(1e-4, 1e-2),
        "dropout": Uniform(0.1, 0.8),
        "kl_weight_max": Uniform(0.0, 1.0),
        "latent_dim": Choice(64, 100, 200, 400),
    },
    conditions={
        "num_neighbours": _KNN,
        "shrinkage": _KNN,
        "regularization": _LINEAR,
        "half_life": Condition("variant", ("RecencyEASE",)),
        "past_half_life": _RIDGE,
        "future_half_life": _RIDGE,
        "popularity_exponent": _RIDGE,
        "training.learning_rate": _VAE,
        "dropout": _VAE,
        "kl_weight_max": _VAE,
        "latent_dim": _VAE,
    },
    strategy="random",
    trials=76,
    start_published=True,
    equal_share=True,
)
