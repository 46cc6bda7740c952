"""Samplers by name: the right branch, no point twice, equal shares, one observation a point."""

import math
from collections import Counter, deque

import optuna
import pytest
from optuna.trial import TrialState

from diffrec.errors import UserError
from search_spaces import Choice, Condition, IntUniform, LogUniform, SearchSpace, Uniform
from search_spaces.definition import STRATEGIES
from tune_runner.schema import POINT, ROLE
from tune_runner.search.hierarchical import groups_of
from tune_runner.search.observations import observations
from tune_runner.search.samplers import make_sampler
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyConfig, StudyPlan, make_plan

SAMPLERS = [name for name in STRATEGIES if name != "grid"]
_BRANCH = "DiffRec+exponential"


def planted(**changes):
    """A space of four variants, three of them with a parameter of their own."""
    fields = {
        "name": "planted",
        "question": "?",
        "domains": {
            "variant": Choice("DiffRec", "T-DiffRec", _BRANCH, "DiffRec+learned_recency"),
            "training.learning_rate": LogUniform(1e-5, 1e-2),
            "denoiser.dropout": Uniform(0.1, 0.8),
            "temporal.weight_min": Uniform(0.05, 0.95),
            "temporal.half_life": LogUniform(1.0, 200.0),
            "temporal.ltw_learning_rate": LogUniform(1e-3, 0.2),
        },
        "conditions": {
            "temporal.weight_min": Condition("variant", ("T-DiffRec",)),
            "temporal.half_life": Condition("variant", (_BRANCH,)),
            "temporal.ltw_learning_rate": Condition("variant", ("DiffRec+learned_recency",)),
        },
        "strategy": "random",
        "trials": 60,
    }
    return SearchSpace(**(fields | changes))


def _bump(value, low, high, peak, width):
    place = math.log(value / low) / math.log(high / low)
    return math.exp(-(((place - peak) / width) ** 2))


def value_of(params):
    """A branch that is the best by far, but only where its own parameter is chosen well."""
    rate = _bump(params["training.learning_rate"], 1e-5, 1e-2, 0.6, 0.3)
    dropout = math.exp(-(((params["denoiser.dropout"] - 0.4) / 0.4) ** 2))
    if params["variant"] == _BRANCH:
        own = 0.55 + 0.45 * _bump(params["temporal.half_life"], 1.0, 200.0, 0.8, 0.25)
    elif params["variant"] == "DiffRec":
        own = 0.75
    elif params["variant"] == "T-DiffRec":
        own = 0.6 + 0.2 * math.exp(-(((params["temporal.weight_min"] - 0.5) / 0.2) ** 2))
    else:
        own = 0.6 + 0.2 * _bump(params["temporal.ltw_learning_rate"], 1e-3, 0.2, 0.5, 0.2)
    return own * (0.5 + 0.3 * rate + 0.2 * dropout)


def search(name, space, seed=0, trials=60, at_once=2, value=value_of):
    """Run a study with some trials at a time; return it."""
    study = optuna.create_study(direction="maximize", sampler=make_sampler(name, space, seed))
    store = StudyStore(study, space, StudyPlan(name, "none", (1,), trials))
    running = deque()
    while (record := store.ask()) is not None or running:
        if record is not None:
            running.append(record)
        if len(running) == at_once or record is None:
            ended = running.popleft()
            store.complete(ended.number, value(ended.params))
    return study


@pytest.mark.slow
def test_the_hierarchical_sampler_finds_the_planted_branch_in_nine_of_ten_repeats():
    found = [search("tpe-hierarchical", planted(), seed) for seed in range(10)]
    assert sum(study.best_trial.params["variant"] == _BRANCH for study in found) >= 9


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("equal_share", [False, True])
def test_every_sampler_draws_valid_points_and_shares_equally(name, equal_share):
    space = planted(equal_share=equal_share)
    if name == "cmaes":
        pytest.importorskip("cmaes")
        if not equal_share:
            with pytest.raises(UserError, match=r"`variant` of space 'planted' has listed values"):
                make_sampler(name, space, 0)
            return
    trials = 16 if name == "gp" else 32
    study = search(name, space, trials=trials)
    assert len(study.trials) == trials
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    shares = Counter(t.params["variant"] for t in study.trials)
    assert not equal_share or set(shares.values()) == {trials // 4}
    own = {"T-DiffRec": "temporal.weight_min", _BRANCH: "temporal.half_life"}
    for trial in study.trials:
        for variant, path in own.items():
            assert (path in trial.params) == (trial.params["variant"] == variant)


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n != "cmaes"])
def test_a_finite_space_is_exhausted_without_a_point_twice(name):
    space = SearchSpace(
        name="few",
        question="?",
        variant="L-DiffRec",
        domains={
            "autoencoder.num_clusters": Choice(1, 2, 3),
            "autoencoder.clustering": Choice("kmeans", "random"),
            "diffusion.num_steps": IntUniform(2, 4),
        },
        conditions={"autoencoder.clustering": Condition("autoencoder.num_clusters", (2, 3))},
        strategy="random",
        trials=99,
    )
    config = StudyConfig(space="few", name="few", sampler=name, seeds=2)
    assert make_plan(config, space).trials == 2 * 15  # every point with every seed
    study = search(name, space, trials=15, at_once=3, value=lambda p: float(len(p)))
    assert len({repr(sorted(t.params.items())) for t in study.trials}) == 15


def test_a_driver_that_goes_on_draws_no_point_of_the_first_again():
    space = planted()
    study = search("random", space, trials=10)
    study.sampler = make_sampler("random", space, 0)  # the same random numbers once more
    store = StudyStore(study, space, StudyPlan("random", "none", (1,), 20))
    while (record := store.ask()) is not None:
        store.complete(record.number, 0.0)
    assert len({repr(sorted(t.params.items())) for t in study.trials}) == 20


def test_parameters_that_are_active_together_are_one_group_parents_first():
    groups = [sorted(group) for group in groups_of(planted())]
    assert groups == [
        ["denoiser.dropout", "training.learning_rate", "variant"],
        ["temporal.weight_min"],
        ["temporal.half_life"],
        ["temporal.ltw_learning_rate"],
    ]


def test_a_point_with_several_seeds_is_one_observation_with_their_mean():
    study = optuna.create_study(direction="maximize", sampler=make_sampler("random", planted(), 0))
    for value, point, confirms in ((0.1, 0, False), (0.5, 1, False), (0.4, 0, False), (9, 1, True)):
        trial = study.ask()
        trial.set_user_attr(POINT, point)
        if confirms:
            trial.set_user_attr(ROLE, "confirm")
        study.tell(trial, value)
    assert [t.value for t in observations(study.trials)] == pytest.approx([0.25, 0.5])


def test_a_sampler_of_ones_own_is_given_by_its_import_path(tmp_path, monkeypatch):
    (tmp_path / "mine_here.py").write_text(
        "from optuna.samplers import RandomSampler\n"
        "class Mine(RandomSampler):\n    pass\n"
        "class Needy(RandomSampler):\n    def __init__(self, what): pass\n"
        "other = 3\n"
    )
    (tmp_path / "broken_here.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    space = planted()
    ours, mine = (search(n, space, 5, 8) for n in ("random", "mine_here:Mine"))
    assert [t.params for t in ours.trials] == [t.params for t in mine.trials]
    for path, reason in (
        ("no_module_here:Mine", "there is no module 'no_module_here'"),
        ("mine_here:Missing", "is missing"),
        ("mine_here:other", "but is 3"),
        ("broken_here:Mine", "ModuleNotFoundError"),
        ("mine_here:Needy", "must need no arguments but `seed`"),
    ):
        with pytest.raises(UserError, match=reason):
            search(path, space, 0, 1)
    with pytest.raises(UserError, match="did you mean 'tpe'"):
        StudyConfig(space="few", name="few", sampler="tpee")


def test_cmaes_says_where_it_does_not_apply():
    one = planted(domains={"training.learning_rate": LogUniform(1e-5, 1e-2)}, conditions={},
                  variant="DiffRec")  # fmt: skip
    conditional = planted(
        variant="L-DiffRec",
        domains={
            "autoencoder.num_clusters": IntUniform(2, 3),
            "autoencoder.learning_rate": LogUniform(1e-4, 1e-2),
        },
        conditions={"autoencoder.learning_rate": Condition("autoencoder.num_clusters", (3,))},
    )
    for space, reason in (
        (one, "two intervals or more, but space 'planted' has 1"),
        (conditional, "`autoencoder.learning_rate` of space 'planted' has a condition"),
    ):
        with pytest.raises(UserError, match=reason):
            make_plan(StudyConfig(space="s", name="s", sampler="cmaes"), space)
