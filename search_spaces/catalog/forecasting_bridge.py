"""Do more diffusion steps, or noise, help a network that forecasts?

One step without noise, the control, is a plain network from the past to the future. Longer bridges
mix past and future in between, with and without noise there; noise on the past itself is tried with
one step. The evidence bound and importance sampling need noise and steps: they are not the question
here. Five paired seeds, nothing is pruned.
"""

from search_spaces.domains import Choice
from search_spaces.space import Condition, SearchSpace

_LONGER = (2, 5, 10, 40)

SPACE = SearchSpace(
    name="forecasting_bridge",
    question="Do more steps of the bridge, or noise in it, improve F-DiffRec?",
    variant="F-DiffRec",
    domains={
        "bridge.num_steps": Choice(1, *_LONGER),
        "bridge.noise_scale": Choice(0.0, 0.1),
        "bridge.end_noise": Choice(0.0, 0.1, 0.3),
    },
    conditions={
        "bridge.noise_scale": Condition("bridge.num_steps", _LONGER),
        "bridge.end_noise": Condition("bridge.num_steps", (1,)),
    },
    replicates=5,
    control={"bridge.num_steps": 1, "bridge.end_noise": 0.0},
)
