"""Several objectives and constraints over real Optuna studies: a planted front is found."""

import pytest
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from diffrec.errors import UserError
from search_spaces import Choice, LogUniform, Objective, SearchSpace
from tune_runner.search import front
from tune_runner.search.samplers import make_sampler
from tune_runner.search.storage import open_study
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyPlan
from tune_runner.study.sampler_rules import check_sampler

RECALL, COVERAGE = Objective("valid/recall@20"), Objective("valid/coverage@20")
RATE, DECAY = "training.learning_rate", "training.weight_decay"
WITHIN = "valid/recall@20 within 10 % of the best"


def space_of(**changes):
    values = {
        "name": "planted",
        "question": "?",
        "variant": "DiffRec",
        "domains": {RATE: Choice(0.1, 0.3, 0.5, 0.7, 0.9), DECAY: Choice(0.0, 0.25)},
        "objectives": (RECALL, COVERAGE),
        **changes,
    }
    return SearchSpace(**values)


def planted(params):
    """Recall and coverage: a trade-off along the rate, and a decay that harms both."""
    share = 1 - params[DECAY]
    return params[RATE] * share, (1 - params[RATE]) * share


def open_store(folder, space, plan):
    study = open_study(
        f"journal://{folder / 'log'}",
        "s",
        [objective.direction for objective in space.goals.objectives],
        NopPruner(),
        identity="s",
    )
    store = StudyStore(study, space, plan)
    if not plan.is_sampled:
        store.enqueue_grid()
    return store, study


def finish(store, proposal, noise=0.0):
    recall, coverage = planted(proposal.params)
    recall += noise
    metrics = {"best/valid/recall@20": recall, "best/valid/coverage@20": coverage}
    store.complete(proposal.number, metrics[f"best/{store.goals.objectives[0].name}"], metrics)


def rates(store, study):
    return {p.trials[0].params[RATE] for p in front.answer(study.trials, store.goals)}


def test_a_planted_front_is_found_and_a_resumed_study_keeps_it(tmp_path):
    space, plan = space_of(), StudyPlan("grid", "none", (1, 2), 20)
    store, study = open_store(tmp_path, space, plan)
    for count in range(20):
        if count % 7 == 6:  # the driver dies while a trial runs
            assert not store.report(store.ask().number, 5, 0.25)
            store, study = open_store(tmp_path, space, plan)
        proposal = store.ask()
        assert not store.report(proposal.number, 10, 0.5)
        finish(store, proposal, noise=0.01 * (proposal.seed - 1.5))
    assert store.ask() is None
    assert rates(store, study) == {0.1, 0.3, 0.5, 0.7, 0.9}
    points = front.answer(study.trials, store.goals)
    assert all(point.trials[0].params[DECAY] == 0.0 for point in points)
    assert [len(point.trials) for point in points] == [2] * 5
    assert points[0].scores.values == pytest.approx((0.9, 0.1))  # the mean of its seeds
    assert store.kept() == {point.number for point in points}
    leader = store.leader()
    assert (leader.number, leader.value) == (points[0].number, pytest.approx(0.9))
    assert store.answer_text() == (
        "front of 5 points: valid/recall@20 0.1000 to 0.9000, valid/coverage@20 0.1000 to 0.9000"
    )
    reopened, again = open_store(tmp_path, space, plan)
    assert rates(reopened, again) == rates(store, study)
    assert {t.params[RATE] for t in again.best_trials} == rates(store, study)
    # Optuna's own front is of trials: the luckier seed
    assert {t.user_attrs["seed"] for t in again.best_trials} == {2}


def test_a_trial_that_a_dead_driver_left_goes_on_from_its_last_report(tmp_path):
    space, plan = space_of(), StudyPlan("grid", "none", (1,), 10)
    store, _ = open_store(tmp_path, space, plan)
    first = store.ask()
    store.report(first.number, 5, 0.5)
    again, _ = open_store(tmp_path, space, plan)
    taken = again.ask()
    assert (taken.number, taken.last_epoch) == (first.number, 5)


def test_a_constraint_leaves_out_the_right_trials(tmp_path):
    space = space_of(objectives=(), objective=COVERAGE, constraint=WITHIN)
    store, study = open_store(tmp_path, space, StudyPlan("grid", "none", (1,), 10))
    for _ in range(10):
        finish(store, store.ask())
    # recall 0.9 is the best, so 0.81 is the bound: one point is within it
    assert rates(store, study) == {0.9}
    assert "valid/coverage@20 0.1000 with valid/recall@20 0.9000" in store.answer_text()
    inside = {t.params[RATE] for t in study.trials if all(v <= 0 for v in t.constraints.values())}
    assert inside == {0.1, 0.3, 0.5, 0.7, 0.9}  # each rate was the best when it ended
    assert not any(
        all(v <= 0 for v in t.constraints.values()) for t in study.trials if t.params[DECAY]
    )
    assert store.kept() == {front.answer(study.trials, store.goals)[0].number}
    assert store.enqueue_confirmation(1) == 2
    confirmed = [store.ask().params[RATE] for _ in range(2)]
    assert confirmed[0] == 0.9


def test_a_failed_trial_is_in_no_front_and_is_queued_again(tmp_path):
    store, study = open_store(tmp_path, space_of(), StudyPlan("grid", "none", (1,), 10))
    store.fail(store.ask().number, "why")
    while (proposal := store.ask()) is not None:
        finish(store, proposal)
    assert 0.1 not in rates(store, study)
    assert store.enqueue_failed() == 1
    finish(store, store.ask())
    assert rates(store, study) == {0.1, 0.3, 0.5, 0.7, 0.9}
    assert study.trials[0].state is TrialState.FAIL


def area(points):
    """Area that a front of two objectives to be maximised dominates, from the origin."""
    covered, height = 0.0, 0.0
    for x, y in sorted(points, reverse=True):
        covered += x * max(0.0, y - height)
        height = max(height, y)
    return covered


def search(folder, sampler, seed, **goals):
    """Search a planted trade-off in two intervals; return the study's answer and all its trials."""
    folder.mkdir()
    domains = {RATE: LogUniform(0.01, 1.0), DECAY: LogUniform(1e-3, 1.0)}
    space = space_of(domains=domains, strategy=sampler, trials=40, **goals)
    store, study = open_store(folder, space, StudyPlan(sampler, "none", (1,), 40))
    study.sampler = make_sampler(sampler, space, seed)
    while (proposal := store.ask()) is not None:
        finish(store, proposal)
    return front.answer(study.trials, store.goals), study.trials


def test_samplers_find_more_of_a_planted_front_than_chance(tmp_path):
    areas = {
        name: area(p.scores.values for p in search(tmp_path / name, name, 0)[0])
        for name in ("random", "tpe", "tpe-hierarchical")
    }
    assert min(areas["tpe"], areas["tpe-hierarchical"]) > max(areas["random"], 0.45)  # of one half


def test_a_genetic_algorithm_of_optuna_searches_a_front(tmp_path):
    (tmp_path / "nsga").mkdir()
    space = space_of(strategy="optuna.samplers:NSGAIISampler", trials=10)
    store, study = open_store(tmp_path / "nsga", space, StudyPlan(space.strategy, "none", (1,), 10))
    study.sampler = make_sampler(space.strategy, space, 0)
    while (proposal := store.ask()) is not None:
        finish(store, proposal)
    assert rates(store, study) == {0.1, 0.3, 0.5, 0.7, 0.9}  # no point twice, so all ten


def test_samplers_are_shown_the_bound_as_it_stands_now(tmp_path):
    goals = {"objectives": (), "objective": COVERAGE, "constraint": WITHIN}
    space = space_of(**goals)
    store, study = open_store(tmp_path, space, StudyPlan("grid", "none", (1, 2), 20))
    for _ in range(20):
        finish(store, store.ask())
    bound = 0.9 * max(planted(t.params)[0] for t in study.trials)
    seen = front.judged_observations(study.trials, store.goals)
    assert len(seen) == 10  # a point, not a seed
    for trial in seen:
        recall = planted(trial.params)[0]
        assert list(trial.constraints.values()) == [pytest.approx(0.9 - recall * 0.9 / bound)]
    stored = [max(t.constraints.values()) <= 0 for t in study.trials[:10]]
    current = [max(t.constraints.values()) <= 0 for t in seen]
    assert (sum(stored), sum(current)) == (5, 1)


def test_a_constrained_search_ends_within_its_bound(tmp_path):
    goals = {"objectives": (), "objective": COVERAGE, "constraint": WITHIN}
    answer, trials = search(tmp_path / "tpe", "tpe", 0, **goals)
    best = max(planted(trial.params)[0] for trial in trials)
    assert [point.scores.constrained >= 0.9 * best for point in answer] == [True]


def test_cmaes_is_refused():
    with pytest.raises(UserError, match="several objectives"):
        check_sampler("cmaes", space_of())
    with pytest.raises(UserError, match="a constraint"):
        check_sampler("cmaes", space_of(objectives=(), objective=COVERAGE, constraint=WITHIN))
