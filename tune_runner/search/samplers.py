"""Optuna's samplers by the names of `--sampler` (`search_spaces.definition.STRATEGIES`)."""

import optuna


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of a study.

    Args:
        name: one of `search_spaces.definition.STRATEGIES`. The points of a grid are queued before
            the study begins, so its sampler never draws one.
        seed: of its random numbers.
    """
    match name:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        case "random" | "grid":
            return optuna.samplers.RandomSampler(seed=seed)
    raise ValueError(f"no sampler is made for {name!r}")
