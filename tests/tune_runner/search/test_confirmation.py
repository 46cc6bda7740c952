"""The winner and its rival are run again on fresh seeds, once."""

import pytest
from optuna.pruners import ThresholdPruner
from optuna.trial import TrialState

from search_spaces import Choice, LogUniform, SearchSpace
from tune_runner.schema import POINT, ROLE, SEED
from tune_runner.search.coordinates import coordinates
from tune_runner.search.storage import open_study
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyPlan


def run(store, value_of):
    """Complete everything that is proposed; return the proposals."""
    ran = []
    while (proposal := store.ask()) is not None:
        ran.append(proposal)
        store.complete(proposal.number, value_of(proposal))
    return ran


def ledger_of(tmp_path, space, budget):
    study = open_study(
        f"journal://{tmp_path / 'log'}", "s", "maximize", ThresholdPruner(lower=0.5), identity="s"
    )
    return StudyStore(study, space, budget), study


def rates(**changes):
    values = {
        "name": "rates",
        "question": "?",
        "variant": "DiffRec",
        "domains": {"training.learning_rate": Choice(0.1, 0.5, 0.9)},
        **changes,
    }
    return SearchSpace(**values)


@pytest.mark.parametrize(
    ("control", "chosen"),
    [(None, {0.9, 0.5}), ({"training.learning_rate": 0.1}, {0.9, 0.1})],
)
def test_winner_and_rival_get_fresh_seeds_once(tmp_path, control, chosen):
    space = rates(control=control)
    store, study = ledger_of(tmp_path, space, StudyPlan("grid", "none", (1, 2), 6))
    store.enqueue_grid()
    run(store, lambda p: p.params["training.learning_rate"])
    assert store.finished()
    assert store.enqueue_confirmation(2) == 4
    assert store.enqueue_confirmation(2) == 0
    assert store.num_planned() == 10
    second = run(store, lambda p: 0.0)
    assert {(p.params["training.learning_rate"], p.seed) for p in second} == {
        (rate, seed) for rate in chosen for seed in (3, 4)
    }
    assert {p.role for p in second} == {"confirm"}
    assert all(t.state is TrialState.COMPLETE for t in study.trials)


def test_a_confirmation_is_never_pruned(tmp_path):
    store, study = ledger_of(tmp_path, rates(), StudyPlan("grid", "none", (1,), 3))
    store.enqueue_grid()
    run(store, lambda p: 1.0)
    store.enqueue_confirmation(1)
    proposal = store.ask()
    assert study.trials[proposal.number].user_attrs[ROLE] == "confirm"
    assert not store.report(proposal.number, 5, 0.0)


def test_a_sampled_search_is_compared_with_where_it_started(tmp_path):
    space = rates(
        domains={"training.learning_rate": LogUniform(1e-5, 1.0)},
        strategy="random",
        trials=4,
        start_published=True,
    )
    store, study = ledger_of(tmp_path, space, StudyPlan("random", "none", (1,), 4))
    store.enqueue_start([coordinates(space, space.published_samples("embedded"))])
    store.enqueue_start([coordinates(space, space.published_samples("embedded"))])
    first, *_ = run(store, lambda p: float(p.number))
    assert first.params == {"training.learning_rate": 1e-3}
    assert len(study.trials) == 4
    store.enqueue_confirmation(1)
    points = {t.user_attrs[POINT] for t in study.trials if ROLE in t.user_attrs}
    assert points == {0, 3}
    assert {t.user_attrs[SEED] for t in study.trials if ROLE in t.user_attrs} == {2}


def test_the_winners_own_values_drawn_once_more_are_no_rival(tmp_path):
    store, _ = ledger_of(
        tmp_path, rates(strategy="random", trials=12), StudyPlan("random", "none", (1,), 12)
    )
    run(store, lambda p: p.params["training.learning_rate"])
    assert store.enqueue_confirmation(1) == 2
    second = run(store, lambda p: 0.0)
    assert [p.params["training.learning_rate"] for p in second] == [0.9, 0.5]
