"""The controller decides every trial's state: complete, pruned, failed, or still open."""

import errno
import math

import pytest
from optuna.pruners import ThresholdPruner
from optuna.trial import TrialState

from diffrec.errors import UserError
from tune_runner.events import GroupReport, Outcome, StudyCallback, TrialReport
from tune_runner.resources.allocation import TrialResources
from tune_runner.search.storage import open_study
from tune_runner.search.study_store import StudyStore
from tune_runner.study.config import StudyPlan
from tune_runner.trials.controller import StudyController


class Diary(StudyCallback):
    """An observer that remembers."""

    def __init__(self):
        self.entries = []
        self.held = []

    def on_trial_start(self, trial):
        self.entries.append(("started", trial.number))

    def on_trial_report(self, trial, report):
        self.entries.append(("reported", trial.number, report.epoch))

    def on_trial_end(self, trial, end):
        self.entries.append(("ended", trial.number, end.state, end.error))
        self.held.append((end.state, end.metrics.get("cost/cpus"), end.metrics.get("cost/gpus")))


@pytest.fixture
def stage(tmp_path, rates):
    """A controller over a journal, its study and its diary."""
    study = open_study(
        f"journal://{tmp_path / 'log'}", "s", "maximize", ThresholdPruner(lower=0.0), identity="s"
    )
    store = StudyStore(study, rates, StudyPlan("grid", "none", (1, 2), 4))
    store.enqueue_grid()
    diary = Diary()

    def resolve(params, seed):
        return rates.resolve(params, "embedded", seed=seed)

    controller = StudyController(
        store, resolve, objective="valid/recall@20", checkpoints=str(tmp_path), callbacks=[diary]
    )
    return controller, study, diary


def report(number, epoch, value, outcome=None):
    """A trial's report of one epoch."""
    return GroupReport({number: TrialReport(epoch, value, {epoch: {"train/loss": 1.0}}, outcome)})


def test_a_complete_trial_is_scored_by_its_best_validation_never_by_test(stage):
    controller, study, diary = stage
    assignment = controller.next_group("a")
    assert assignment.name == "0000 0.1·seed1"
    assert [trial.config["seed"] for trial in assignment.trials] == [1]
    controller.on_start("a")
    assert not controller.on_report("a", report(0, 5, 0.4))
    outcome = Outcome(0.4, {"test/recall@20": 99.125})
    assert controller.on_report("a", report(0, 10, 0.3, outcome))
    controller.on_end("a", failed=False)
    assert study.trials[0].value == 0.4
    assert study.trials[0].intermediate_values == {5: 0.4, 10: 0.3}
    assert "99.125" not in str(study.trials[0])
    assert diary.entries[-1] == ("ended", 0, "complete", None)
    assert controller.num_active == 0


def test_a_hopeless_trial_is_pruned_but_a_finished_one_stands(stage):
    controller, study, _diary = stage
    controller.next_group("a")
    assert controller.on_report("a", report(0, 5, -1.0))
    assert controller.on_report("a", report(0, 10, 5.0))  # a straggler changes nothing
    controller.on_end("a", failed=False)
    assert study.trials[0].state is TrialState.PRUNED
    assert study.trials[0].intermediate_values == {5: -1.0}
    controller.next_group("b")
    controller.on_report("b", report(1, 5, -1.0, Outcome(-1.0)))
    controller.on_end("b", failed=False)
    assert study.trials[1].state is TrialState.COMPLETE


def test_whatever_becomes_of_a_trial_what_it_held_is_recorded(stage):
    controller, _study, diary = stage
    controller.next_group("a")
    controller.on_report("a", report(0, 5, -1.0))
    controller.on_end("a", failed=False)
    controller.next_group("b")
    controller.on_report("b", report(1, 5, 0.5, Outcome(0.5)))
    controller.on_end("b", failed=False)
    controller.next_group("c")
    controller.on_report(
        "c", report(2, 5, None, Outcome(failure="the loss is not finite in epoch 5"))
    )
    controller.on_end("c", failed=False)
    assert diary.held == [("pruned", 1.0, 0.0), ("complete", 1.0, 0.0), ("failed", 1.0, 0.0)]


def accident(controller, key, words):
    """Let the trial under `key` have an accident."""
    controller.set_error(key, words)
    controller.on_end(key, failed=True)


def test_an_accident_is_retried_a_set_number_of_times_and_never_scored(stage):
    controller, study, diary = stage
    for key in ("a", "b", "c"):
        assert controller.next_group(key).number == 0
        accident(controller, key, "ValueError: planted")
    assert study.trials[0].state is TrialState.FAIL
    assert study.trials[0].value is None
    assert [e for e in diary.entries if e[0] == "ended"] == [
        ("ended", 0, "failed", "ValueError: planted")
    ]
    assert controller.next_group("d").number == 1


def test_a_trial_that_is_preempted_five_times_still_completes(stage):
    controller, study, diary = stage
    for times in range(5):
        assert controller.next_group(f"a{times}").number == 0
        assert not controller.on_report(f"a{times}", report(0, times + 1, 0.1 * times))
        accident(controller, f"a{times}", "The actor's node was preempted: Spot reclaimed")
    assert controller.next_group("b").number == 0
    controller.on_report("b", report(0, 6, 0.5, Outcome(0.5)))
    controller.on_end("b", failed=False)
    assert study.trials[0].state is TrialState.COMPLETE
    assert list(study.trials[0].intermediate_values) == [1, 2, 3, 4, 5, 6]
    assert [e for e in diary.entries if e[0] == "ended"] == [("ended", 0, "complete", None)]


def test_a_study_is_not_done_while_a_trial_may_come_back(stage):
    controller, study, _ = stage
    for key in "abcd":
        controller.next_group(key)
    assert controller.next_group("e") is None
    assert not controller.is_done
    accident(controller, "b", "ValueError: planted")
    for key in "acd":
        controller.on_report(key, report("abcd".index(key), 1, 0.5, Outcome(0.5)))
        controller.on_end(key, failed=False)
    assert not controller.is_done
    assert controller.next_group("f").number == 1
    controller.on_report("f", report(1, 1, 0.5, Outcome(0.5)))
    controller.on_end("f", failed=False)
    assert controller.next_group("g") is None
    assert controller.is_done
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 4


@pytest.mark.parametrize(
    "words",
    [
        "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
    ],
)
def test_memory_that_ran_out_is_answered_with_a_larger_share_once(stage, words):
    controller, study, _ = stage
    controller._max_resources = TrialResources(4, 0)
    assert controller.next_group("a").resources.cpus == 1
    accident(controller, "a", words)
    assert controller.next_group("b").resources.cpus == 2
    # nobody else is given a place while the larger share is waited for
    assert controller.next_group("c") is None
    controller.on_start("b")
    assert controller.next_group("c").number == 1
    accident(controller, "b", words)
    assert study.trials[0].state is TrialState.FAIL
    assert words in study.trials[0].user_attrs["error"]


def test_without_a_larger_share_memory_that_ran_out_is_a_failure(stage):
    controller, study, _ = stage
    controller.next_group("a")
    accident(controller, "a", "CUDA out of memory")
    assert study.trials[0].state is TrialState.FAIL


def test_a_full_disk_halts_the_study_and_costs_no_trial(stage):
    controller, study, diary = stage
    controller.next_group("a")
    failure = Outcome(
        failure="OSError: [Errno 28] No space left on device", failure_kind="disk_full"
    )
    controller.on_report("a", report(0, 3, None, failure))
    controller.on_end("a", failed=False)
    assert "No space left" in controller.stop_reason
    assert study.trials[0].state is TrialState.RUNNING
    assert not any(entry[0] == "ended" for entry in diary.entries)
    assert controller.next_group("b") is None
    assert controller.is_done


def test_a_record_that_cannot_be_written_halts_the_study(stage):
    controller, study, diary = stage

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    controller._recorder = (diary,)
    diary.on_trial_end = full
    controller.next_group("a")
    controller.on_report("a", report(0, 5, 0.4, Outcome(0.4)))
    controller.on_end("a", failed=False)
    assert "No space left" in controller.stop_reason
    # the store knows of no end that the record does not
    assert study.trials[0].state is TrialState.RUNNING


def test_an_allowance_of_trials_leaves_the_rest_to_another_time(stage):
    controller, study, _ = stage
    controller._trials_left = 1
    controller.next_group("a")
    assert controller.next_group("b") is None
    controller.on_report("a", report(0, 5, 0.4, Outcome(0.4)))
    controller.on_end("a", failed=False)
    assert controller.is_done
    assert controller.end_reason == "the budget of trials is spent"
    assert [t.state for t in study.trials[:2]] == [TrialState.COMPLETE, TrialState.WAITING]


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_score_that_is_no_number_is_a_failure(stage, value):
    controller, study, _ = stage
    controller.next_group("a")
    controller.on_report("a", report(0, 5, value, Outcome(value)))
    controller.on_end("a", failed=False)
    assert study.trials[0].state is TrialState.FAIL


def test_a_loss_that_is_not_finite_names_the_epoch(stage):
    controller, study, _diary = stage
    controller.next_group("a")
    controller.on_report(
        "a", report(0, 3, None, Outcome(failure="the loss is not finite in epoch 3"))
    )
    controller.on_end("a", failed=False)
    assert study.trials[0].user_attrs["error"] == "the loss is not finite in epoch 3"


def test_an_interrupted_trial_stays_open(stage):
    controller, study, diary = stage
    controller.next_group("a")
    controller.on_report("a", report(0, 5, 0.4))
    controller.on_end("a", failed=False)
    assert study.trials[0].state is TrialState.RUNNING
    assert diary.entries[-1][0] == "reported"


def test_a_retry_repeats_epochs_without_harm(stage):
    controller, study, _ = stage
    controller.next_group("a")
    for epoch in (5, 10, 5, 10, 15):
        controller.on_report("a", report(0, epoch, epoch / 100))
    assert study.trials[0].intermediate_values == {5: 0.05, 10: 0.1, 15: 0.15}


def test_a_point_that_builds_nothing_fails_and_the_study_goes_on(stage):
    controller, study, diary = stage
    resolve = controller._resolve

    def choosy(params, seed):
        if params["training.learning_rate"] == 0.1:
            raise UserError("These do not fit together.")
        return resolve(params, seed)

    controller._resolve = choosy
    assert controller.next_group("a").number == 1
    assert study.trials[0].state is TrialState.FAIL
    assert ("ended", 0, "failed", "These do not fit together.") in diary.entries
