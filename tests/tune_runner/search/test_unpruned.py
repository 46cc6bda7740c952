"""One trial in ten is never pruned, and shows what pruning would have cost."""

import optuna
import pytest
from optuna.pruners import ThresholdPruner
from optuna.trial import TrialState

from search_spaces import LogUniform, Objective, SearchSpace
from tune_runner.events import TrialRecord, TrialResult
from tune_runner.monitoring.pruning_watch import PruningWatch
from tune_runner.schema import WOULD_PRUNE
from tune_runner.search.samplers import make_sampler
from tune_runner.search.study_store import StudyStore
from tune_runner.search.unpruned import early_correlation, is_never_pruned
from tune_runner.study.config import StudyPlan

SPACE = SearchSpace(
    name="rates",
    question="?",
    variant="DiffRec",
    domains={"training.learning_rate": LogUniform(1e-5, 1e-1)},
    strategy="random",
    trials=40,
)


def run(end_of, trials=40):
    """A study whose trials all look hopeless at epoch 5; `end_of(number)` is how they would end."""
    study = optuna.create_study(
        direction="maximize",
        sampler=make_sampler("random", SPACE, 0),
        pruner=ThresholdPruner(lower=0.2),
    )
    store = StudyStore(study, SPACE, StudyPlan("random", "median", (1,), trials))
    while (record := store.ask()) is not None:
        number = record.number
        early = 0.5 if number == 0 else 0.1
        if store.report(number, 5, early):
            store.prune(number)
        else:
            store.report(number, 10, end_of(number))
            store.complete(number, end_of(number))
    return store, study


def test_one_in_ten_runs_to_its_end_and_knows_where_it_would_have_been_stopped():
    store, study = run(lambda number: 0.5 if number == 0 else 0.3)
    complete = [t.number for t in study.trials if t.state is TrialState.COMPLETE]
    assert complete == [0, 9, 19, 29, 39]
    assert [t.user_attrs.get(WOULD_PRUNE) for t in study.trials if is_never_pruned(t.number)] == [
        5
    ] * 4
    assert store.pruning_sentence() == (
        "of 4 trials that are never pruned the pruner would have stopped 4; "
        "the best of those ended 40.0% behind the best trial"
    )


def test_a_slow_starter_that_wins_shows_that_pruning_is_not_safe():
    store, _ = run(lambda number: 0.9 if number == 19 else 0.5)
    assert "one of them is the best of all: pruning is not safe here" in store.pruning_sentence()
    notes = []
    watch = PruningWatch(store.pruning_sentence, notes.append)
    for _ in range(2):
        watch.on_trial_end(TrialRecord(1, "1", {}, 1), TrialResult("complete", 10, 0.5))
    assert len(notes) == 1


def test_without_a_pruner_there_is_nothing_to_say():
    store, _ = run(lambda number: 0.5, trials=5)
    assert store.pruning_sentence() == ""


@pytest.mark.parametrize(("sign", "rho"), [(1, 1.0), (-1, -1.0)])
def test_early_and_final_values_are_compared_by_their_ranks(sign, rho):
    study = optuna.create_study(direction="maximize")
    for number in range(8):
        trial = study.ask()
        trial.report(sign * number**3, 5)
        trial.report(number, 10)
        study.tell(trial, number)
    assert early_correlation(study.trials, Objective()) == pytest.approx(rho)
    assert early_correlation(study.trials[:7], Objective()) is None
