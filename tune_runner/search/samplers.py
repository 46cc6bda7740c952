"""Optuna's samplers by the names of `--sampler`."""

import optuna


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler `name` (a grid is queued, so its sampler never draws)."""
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)
