"""The conductor decides every trial's state: complete, pruned, failed, or still open."""

import math

import pytest
from optuna.pruners import ThresholdPruner
from optuna.trial import TrialState

from diffrec.errors import UserError
from tune_runner.conductor import Conductor
from tune_runner.ledger import Budget, Ledger, open_study
from tune_runner.reports import Outcome, TrialReport


class Diary:
    """An observer that remembers."""

    def __init__(self):
        self.entries = []

    def trial_started(self, trial):
        self.entries.append(("started", trial.number))

    def trial_reported(self, trial, report):
        self.entries.append(("reported", trial.number, report.epoch))

    def trial_ended(self, trial, end):
        self.entries.append(("ended", trial.number, end.state, end.error))


@pytest.fixture
def stage(tmp_path, rates):
    """A conductor over a journal, its study and its diary."""
    study = open_study(f"journal://{tmp_path / 'log'}", "s", "maximize", ThresholdPruner(lower=0.0))
    ledger = Ledger(study, rates, Budget(4, (1, 2), sampled=False))
    ledger.enqueue_grid()
    diary = Diary()

    def resolve(params, seed):
        return rates.resolve(params, "embedded", seed=seed)

    conductor = Conductor(
        ledger, resolve, objective="valid/recall@20", checkpoints=tmp_path, observers=[diary]
    )
    return conductor, study, diary


def report(epoch, value, outcome=None):
    """A report of one epoch."""
    return TrialReport(epoch, value, {epoch: {"train/loss": 1.0}}, outcome)


def test_a_complete_trial_is_scored_by_its_best_validation_never_by_test(stage):
    conductor, study, diary = stage
    assignment = conductor.next_trial("a")
    assert assignment.name == "0000 0.1·seed1"
    assert assignment.config["seed"] == 1
    conductor.started("a")
    assert not conductor.report("a", report(5, 0.4))
    outcome = Outcome(0.4, {"test/recall@20": 99.125})
    assert not conductor.report("a", report(10, 0.3, outcome))
    conductor.end("a", failed=False)
    assert study.trials[0].value == 0.4
    assert study.trials[0].intermediate_values == {5: 0.4, 10: 0.3}
    assert "99.125" not in str(study.trials[0])
    assert diary.entries[-1] == ("ended", 0, "complete", None)
    assert conductor.active == []


def test_a_hopeless_trial_is_pruned_but_a_finished_one_stands(stage):
    conductor, study, _diary = stage
    conductor.next_trial("a")
    assert conductor.report("a", report(5, -1.0))
    assert conductor.report("a", report(10, 5.0))  # a straggler changes nothing
    conductor.end("a", failed=False)
    assert study.trials[0].state is TrialState.PRUNED
    assert study.trials[0].intermediate_values == {5: -1.0}
    conductor.next_trial("b")
    assert not conductor.report("b", report(5, -1.0, Outcome(-1.0)))
    conductor.end("b", failed=False)
    assert study.trials[1].state is TrialState.COMPLETE


def test_a_failure_keeps_its_reason_and_is_never_scored(stage):
    conductor, study, diary = stage
    conductor.next_trial("a")
    conductor.note_error("a", "ValueError: planted")
    conductor.end("a", failed=True)
    assert study.trials[0].state is TrialState.FAIL
    assert study.trials[0].value is None
    assert diary.entries[-1] == ("ended", 0, "failed", "ValueError: planted")


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_score_that_is_no_number_is_a_failure(stage, value):
    conductor, study, _ = stage
    conductor.next_trial("a")
    conductor.report("a", report(5, value, Outcome(value)))
    conductor.end("a", failed=False)
    assert study.trials[0].state is TrialState.FAIL


def test_a_loss_that_is_not_finite_names_the_epoch(stage):
    conductor, study, _diary = stage
    conductor.next_trial("a")
    conductor.report("a", report(3, None, Outcome(failure="the loss is not finite in epoch 3")))
    conductor.end("a", failed=False)
    assert study.trials[0].user_attrs["error"] == "the loss is not finite in epoch 3"


def test_an_interrupted_trial_stays_open(stage):
    conductor, study, diary = stage
    conductor.next_trial("a")
    conductor.report("a", report(5, 0.4))
    conductor.end("a", failed=False)
    assert study.trials[0].state is TrialState.RUNNING
    assert diary.entries[-1][0] == "reported"


def test_a_retry_repeats_epochs_without_harm(stage):
    conductor, study, _ = stage
    conductor.next_trial("a")
    for epoch in (5, 10, 5, 10, 15):
        conductor.report("a", report(epoch, epoch / 100))
    assert study.trials[0].intermediate_values == {5: 0.05, 10: 0.1, 15: 0.15}


def test_a_point_that_builds_nothing_fails_and_the_study_goes_on(stage):
    conductor, study, diary = stage
    resolve = conductor._resolve

    def choosy(params, seed):
        if params["training.learning_rate"] == 0.1:
            raise UserError("These do not fit together.")
        return resolve(params, seed)

    conductor._resolve = choosy
    assert conductor.next_trial("a").number == 1
    assert study.trials[0].state is TrialState.FAIL
    assert ("ended", 0, "failed", "These do not fit together.") in diary.entries
