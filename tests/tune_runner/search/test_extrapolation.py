"""The extrapolating pruner: slow starters go on, hopeless trials stop, no order stops nothing."""

import math
import random

import optuna
import pytest

from tune_runner.search.extrapolation import STARTUP_TRIALS
from tune_runner.search.pruners import make_pruner

EPOCHS = range(10, 101, 10)


def study_of(curves, direction="maximize"):
    """A study with complete trials of these curves, and the pruner."""
    pruner = make_pruner("extrapolation", max_epochs=100, eval_every=10)
    study = optuna.create_study(direction=direction, pruner=pruner)
    for curve in curves:
        trial = study.ask()
        for epoch, value in zip(EPOCHS, curve, strict=True):
            trial.report(value, epoch)
        study.tell(trial, (max if direction == "maximize" else min)(curve))
    return study


def stopped_at(study, curve):
    """Epoch at which a new trial with this curve is stopped; None: it runs to its end."""
    trial = study.ask()
    for epoch, value in zip(EPOCHS, curve, strict=True):
        trial.report(value, epoch)
        if trial.should_prune():
            return epoch
    return None


def fast(level, sign=1.0):
    return [sign * level * (1 - math.exp(-epoch / 15)) for epoch in EPOCHS]


def slow(level):
    return [level * (epoch / 100) ** 1.5 for epoch in EPOCHS]


def levels(count=20):
    rng = random.Random(0)
    return [rng.uniform(0.1, 0.3) for _ in range(count)]


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1.0), ("minimize", -1.0)])
def test_a_hopeless_trial_stops_early_and_a_better_one_runs_on(direction, sign):
    study = study_of([fast(level, sign) for level in levels()], direction)
    assert stopped_at(study, fast(0.05, sign)) in (10, 20)
    assert stopped_at(study, fast(0.4, sign)) is None


def test_a_slow_starter_that_will_win_runs_on_where_the_median_rule_stops_it():
    curves = [fast(v) for v in levels()] + [slow(v) for v in levels()]
    study = study_of(curves)
    winner = slow(0.35)
    assert stopped_at(study, winner) is None
    study.pruner = make_pruner("median", max_epochs=100, eval_every=10)
    assert stopped_at(study, winner) is not None


def test_where_early_values_say_nothing_no_trial_is_stopped_early():
    rng = random.Random(1)
    curves = [[rng.uniform(0.1, 0.3) for _ in EPOCHS[:-1]] + [rng.uniform(0.3, 0.6)]
              for _ in range(40)]  # fmt: skip
    study = study_of(curves)
    new = [[rng.uniform(0.1, 0.3) for _ in EPOCHS] for _ in range(30)]
    stopped = [stopped_at(study, curve) for curve in new]
    assert sum(epoch is not None and epoch < EPOCHS[-1] for epoch in stopped) <= 3


def test_nothing_is_predicted_from_few_trials():
    study = study_of([fast(v) for v in levels(STARTUP_TRIALS - 1)])
    assert stopped_at(study, fast(0.01)) is None
