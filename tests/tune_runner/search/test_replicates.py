"""Seeds are replicates: the best mean wins over the luckiest seed, and seeds go to contenders."""

import math
import random
from collections import Counter

import optuna
import pytest
from optuna.pruners import ThresholdPruner

from search_spaces import Choice, LogUniform, SearchSpace
from search_spaces.leading import leader
from tune_runner.schema import POINT, SEED
from tune_runner.search.observations import trials_by_point
from tune_runner.search.replicates import Race, racing_points, seed_noise
from tune_runner.search.samplers import make_sampler
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyPlan

NOISE = 0.02


def space_of(**changes):
    fields = {
        "name": "noisy",
        "question": "?",
        "variant": "DiffRec",
        "domains": {"training.learning_rate": LogUniform(1e-5, 1e-1)},
        "strategy": "random",
        "trials": 60,
    }
    return SearchSpace(**(fields | changes))


def truth(params):
    """Expected value: 0.3 at a rate of 1e-3, less with the distance."""
    return 0.3 - 0.01 * abs(math.log10(params["training.learning_rate"]) + 3)


def opened(space, seeds=(1, 2, 3), trials=60, seed=0, pruner=None):
    sampler = make_sampler("random", space, seed)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    return StudyStore(study, space, StudyPlan("random", "none", seeds, trials)), study


def run(store, value_of):
    """Run one trial after the other to the end of the budget."""
    while (record := store.ask()) is not None:
        store.complete(record.number, value_of(record))
    return store.leader()


def test_the_best_mean_wins_over_a_lucky_seed():
    """The point with by far the luckiest first seed is the worst; it does not lead in the end."""
    lucky = {}

    def value(record):
        rate = record.params["training.learning_rate"]
        if rate < 1e-4:
            lucky.setdefault("rate", rate)
        if rate == lucky.get("rate"):
            return {1: 0.5}.get(record.seed, 0.0)
        return truth(record.params)

    store, study = opened(space_of())
    best = run(store, value)
    assert lucky
    rate = study.trials[best.number].params["training.learning_rate"]
    assert rate != lucky["rate"]
    assert best.num_seeds == 3
    assert best.value == pytest.approx(max(truth(t.params) for t in study.trials), abs=1e-3)


def noisy_search(seeds, repeat):
    """Return the true value of the point that leads at the end of a noisy study."""
    rng = random.Random(repeat)
    store, study = opened(space_of(), seeds=seeds, seed=repeat)
    best = run(store, lambda record: truth(record.params) + rng.gauss(0, NOISE))
    return truth(study.trials[best.number].params), best.value


def test_on_a_noisy_toy_the_leader_is_better_and_less_overrated_than_with_one_seed():
    one = [noisy_search((1,), repeat) for repeat in range(40)]
    three = [noisy_search((1, 2, 3), repeat) for repeat in range(40)]
    mean = lambda pairs, at: sum(pair[at] for pair in pairs) / len(pairs)  # noqa: E731
    assert mean(three, 0) >= mean(one, 0) - 1e-4
    assert mean(three, 1) - mean(three, 0) < 0.7 * (mean(one, 1) - mean(one, 0))


def test_seeds_go_to_contenders_and_take_at_most_half_of_the_trials():
    rng = random.Random(1)
    store, study = opened(space_of())
    run(store, lambda record: truth(record.params) + rng.gauss(0, NOISE))
    assert len(study.trials) == 60
    groups = trials_by_point(study.trials).values()
    assert 20 <= sum(t.user_attrs[SEED] > 1 for t in study.trials) <= 30
    assert all(sorted(t.user_attrs[SEED] for t in g) == [1, 2, 3][: len(g)] for g in groups)
    several = [g[0].value for g in groups if len(g) == 3]
    single = [g[0].value for g in groups if len(g) == 1]
    assert sum(several) / len(several) > sum(single) / len(single) + NOISE


def test_every_variant_has_a_leader_of_its_own_where_shares_are_equal():
    space = space_of(
        variant=None,
        domains={
            "variant": Choice("DiffRec", "T-DiffRec"),
            "training.learning_rate": LogUniform(1e-5, 1e-1),
        },
        equal_share=True,
    )
    store, study = opened(space, trials=30)
    run(store, lambda r: truth(r.params) - (r.params["variant"] == "DiffRec") * 0.2)
    seeds = Counter(
        (g[0].params["variant"], len(g)) for g in trials_by_point(study.trials).values()
    )
    assert seeds["DiffRec", 3] >= 1
    assert seeds["T-DiffRec", 3] >= 1


def test_a_replicate_is_never_pruned_and_a_first_seed_may_be():
    store, _ = opened(space_of(), trials=2, pruner=ThresholdPruner(lower=0.5))
    first = store.ask()
    assert store.report(first.number, 1, 0.1)
    store.complete(first.number, 0.3)
    second = store.ask()
    assert (second.seed, second.params) == (2, first.params)
    assert not store.report(second.number, 1, 0.1)


def test_a_finite_space_spends_what_is_left_on_further_seeds():
    space = space_of(domains={"training.learning_rate": Choice(1e-5, 1e-4, 1e-3, 1e-2)})
    store, study = opened(space, trials=12)
    run(store, lambda record: truth(record.params))
    pairs = {(t.user_attrs[POINT], t.user_attrs[SEED]) for t in study.trials}
    assert len(study.trials) == len(pairs) == 12
    assert len(trials_by_point(study.trials)) == 4


def test_a_point_with_fewer_seeds_leads_in_a_grid_only():
    values = {"a": [0.1, 0.2], "b": [0.9], "c": []}
    assert leader(values, lambda v: -v, is_sampled=True) == "a"
    assert leader(values, lambda v: -v, is_sampled=False) == "b"
    assert leader({}, lambda v: v, is_sampled=True) is None


def test_noise_is_pooled_over_points_with_two_seeds_or_more():
    assert math.isnan(seed_noise([[0.1], [0.2]]))
    assert seed_noise([[0.0, 0.2], [1.0, 1.4], [9.0]]) == pytest.approx(math.sqrt(0.05))


def test_without_a_result_nobody_leads_or_contends():
    store, study = opened(space_of())
    store.ask()
    race = Race(racing_points(study.trials), (1, 2), lambda v: -v)
    assert race.leader is None
    assert race.contenders(0.1) == []
