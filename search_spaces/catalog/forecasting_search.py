"""Search for the best F-DiffRec on a dataset: TPE over what the ablation found to matter.

Starts from the preset, whose values were chosen on ml-1m_clean with its test list in view: choose
again on validation, and confirm the winner on fresh seeds (`--confirm 5`). No pruner: the network
starts slowly, and an early validation says little about the last.
"""

from search_spaces.domains import Choice, IntUniform, LogUniform, Uniform
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="forecasting_search",
    question="Which recency, discount, width and regularisation make F-DiffRec recommend best?",
    variant="F-DiffRec",
    domains={
        "forecast.past_half_life": LogUniform(1.0, 50.0),
        "forecast.future_half_life": LogUniform(1.0, 50.0),
        "forecast.past_items": IntUniform(8, 128, log=True),
        "forecast.past_dropout": Uniform(0.0, 0.6),
        "denoiser.hidden_dims": Choice([100], [300], [600]),
        "denoiser.dropout": Uniform(0.0, 0.7),
        "training.learning_rate": LogUniform(3e-4, 1e-2),
        "training.weight_decay": LogUniform(1e-4, 0.3),
    },
    strategy="tpe",
    trials=40,
    start_published=True,
)
