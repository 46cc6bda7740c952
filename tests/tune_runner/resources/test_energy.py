"""Measured energy: shares of all trials and the idle part sum to what the machine took."""

import math

import pytest

from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.training.fused.runs import FusedEpoch
from diffrec.training.run import NonFiniteLossError
from fake_run import FakeBackend
from tune_runner.resources.energy import open_meter
from tune_runner.trials.groups import AssignedTrial
from tune_runner.worker.trial import WorkerTrial

AROUND = 1_000_000_000
"""Microjoules after which the kernel's counter begins again."""


@pytest.fixture
def machine(tmp_path):
    """The kernel's counters of a machine: two packages, one with its memory and its cores apart."""

    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1",
    }

    class Machine:
        def __init__(self):
            self.spent = dict.fromkeys(zones, 0)
            for zone, name in zones.items():
                folder = tmp_path / zone
                folder.mkdir()
                (folder / "name").write_text(name + "\n")
                (folder / "max_energy_range_uj").write_text(f"{AROUND}\n")
                self.take(zone, 0.0)

        def take(self, zone, joules):
            self.spent[zone] = (self.spent[zone] + int(joules * 1e6)) % AROUND
            (tmp_path / zone / "energy_uj").write_text(f"{self.spent[zone]}\n")

        def meter(self, cpus, gpus=0.0):
            return open_meter(cpus, gpus, powercap=tmp_path, cores=8)

    return Machine()


def test_shares_and_the_idle_part_sum_to_the_nodes_total(machine):
    meters = [machine.meter(cpus) for cpus in (1, 2, 4)]
    machine.take("intel-rapl:0", 60)
    machine.take("intel-rapl:0:0", 50)  # cores: in the package's count already
    machine.take("intel-rapl:0:1", 10)
    machine.take("intel-rapl:1", 10)
    joules_each = [meter.joules() for meter in meters]
    assert joules_each == pytest.approx([10, 20, 40])
    assert sum(joules_each) + 80 * 1 / 8 == pytest.approx(80)
    assert [meter.joules() for meter in meters] == [0, 0, 0]


def test_a_counter_that_begins_again_loses_nothing(machine):
    meter = machine.meter(8)
    total = 0.0
    for _ in range(5):
        machine.take("intel-rapl:0", 400)
        total += meter.joules()
    assert total == pytest.approx(5 * 400)


def test_a_machine_that_shows_only_a_part_shows_nothing(machine, tmp_path):
    assert machine.meter(1, gpus=0.5) is None  # no GPU here shows its energy
    assert open_meter(1, 0, powercap=tmp_path / "none") is None
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert machine.meter(1) is None


def test_every_report_tells_the_joules_so_far_and_a_checkpoint_remembers_them(tmp_path):
    config = preset("DiffRec", "embedded").config.replace_values(
        {"training.max_epochs": 4, "training.eval_every": 1}
    )
    trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))

    def member():
        worker_trial = WorkerTrial(
            trial, "valid/recall@20", FakeBackend(healthy=True), load_dataset("embedded")
        )
        worker_trial.start("cpu")
        return worker_trial

    def train(worker_trial, joules):
        epoch = FusedEpoch(worker_trial.run, worker_trial.run.next_epoch(), None, 0.0)
        return worker_trial.record_epoch(epoch, 1000.0, joules).epochs

    first = member()
    assert [train(first, 5.0)[1]["cost/joules"], train(first, 7.0)[2]["cost/joules"]] == [5, 12]
    resumed = member()
    assert train(resumed, 1.0)[3]["cost/joules"] == 13
    assert math.isnan(train(member(), None)[4]["cost/joules"])  # a gap: no part is the whole


def test_epochs_that_led_to_a_broken_loss_have_cost_too(tmp_path):
    config = preset("DiffRec", "embedded").config.replace_values({"training.eval_every": 5})
    trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))
    worker_trial = WorkerTrial(
        trial, "valid/recall@20", FakeBackend(healthy=True), load_dataset("embedded")
    )
    worker_trial.start("cpu")
    assert (
        worker_trial.record_epoch(
            FusedEpoch(worker_trial.run, worker_trial.run.next_epoch(), None, 0.0), 1.0, 3.0
        )
        is None
    )
    error = NonFiniteLossError(2)
    with pytest.raises(NonFiniteLossError):
        worker_trial.record_epoch(FusedEpoch(worker_trial.run, None, error, 0.0), 1.0, 4.0)
    report = worker_trial.failure_report(error)
    assert set(report.epochs) == {1, 2}
    assert report.epochs[2]["cost/joules"] == 7.0


@pytest.fixture
def begin(tmp_path):
    """A trial of ours in a worker; every time the meter is asked, 10 joules were taken."""

    def begun(epochs=2, **rest):
        values = {"training.max_epochs": epochs, "training.eval_every": 1, **rest}
        config = preset("DiffRec", "embedded").config.replace_values(values)
        trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))
        backend, data = FakeBackend(healthy=True), load_dataset("embedded")
        worker_trial = WorkerTrial(trial, "valid/recall@20", backend, data, lambda: 10.0)
        worker_trial.start("cpu")
        return worker_trial

    return begun


def step(member, seconds, joules):
    """Train an epoch that took so much."""
    return member.record_epoch(
        FusedEpoch(member.run, member.run.next_epoch(), None, 0.0), seconds, joules
    )


def test_a_trial_given_up_after_any_report_has_told_its_seconds_without_the_pauses(begin):
    first = begin(epochs=9)
    reported = [step(first, seconds, 1.0).epochs for seconds in (1000.0, 100.0)]
    assert reported[0][1]["cost/seconds"] == pytest.approx(1000, abs=60)  # and what building took
    assert reported[1][2]["cost/seconds"] - reported[0][1]["cost/seconds"] == 100
    resumed = begin(epochs=9)  # later, in another worker: the time between is nobody's
    for _ in reported:
        resumed.replay()
    third = step(resumed, 10.0, 1.0).epochs[3]["cost/seconds"]
    assert third - reported[1][2]["cost/seconds"] == pytest.approx(10, abs=60)


def test_of_a_shared_worker_a_trial_holds_its_part_and_of_its_own_the_whole(tmp_path):
    config = preset("DiffRec", "embedded").config.replace_values({"training.eval_every": 1})
    trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))

    def taken_up(share):
        backend, data = FakeBackend(healthy=True), load_dataset("embedded")
        worker_trial = WorkerTrial(trial, "valid/recall@20", backend, data, resources=share)
        worker_trial.start("cpu")
        return worker_trial

    def train(worker_trial, seconds, part):
        epoch = FusedEpoch(worker_trial.run, worker_trial.run.next_epoch(), None, 0.0)
        report = worker_trial.record_epoch(epoch, seconds, fraction=part)
        return report.epochs[worker_trial.run.epoch]

    fused = taken_up((2.0, 1.0))
    built = fused._core_seconds  # by itself, with the whole share
    reported = train(fused, 1000.0, 0.25)
    assert reported["cost/core_seconds"] == pytest.approx(built + 2 * 250)
    assert reported["cost/gpu_seconds"] == pytest.approx(built / 2 + 250)
    single = taken_up((1.0, 0.5))  # after an interruption, with another share
    resumed = single._core_seconds - reported["cost/core_seconds"]
    reported = train(single, 100.0, 1.0)
    assert reported["cost/core_seconds"] == pytest.approx(built + 500 + resumed + 100)
    assert reported["cost/gpu_seconds"] == pytest.approx(built / 2 + 250 + resumed / 2 + 50)


def test_a_trial_that_fails_has_told_what_it_took(begin):
    trial = begin(epochs=9)
    step(trial, 1000.0, 5.0)
    outcome = trial.failure_report(ValueError("x")).outcome
    assert outcome.metrics["cost/seconds"] == pytest.approx(1000, abs=60)
    assert outcome.metrics["cost/joules"] == 5.0


def test_scoring_the_test_set_is_paid_for_in_seconds_and_in_joules(begin):
    trial = begin(epochs=2)
    step(trial, 1.0, 3.0)
    before = trial._seconds
    last = step(trial, 1.0, 4.0)
    for reported in (last.epochs[2], last.outcome.metrics):
        assert reported["cost/joules"] == 17.0
        assert reported["cost/seconds"] > before + 1.0
    resumed = begin(epochs=2)  # from the checkpoint: the test is scored, and paid for, once more
    assert [resumed.replay().epochs[epoch]["cost/joules"] for epoch in (1, 2)] == [3.0, 17.0]


def test_a_machine_that_shows_no_energy_has_no_metric(tmp_path):
    config = preset("DiffRec", "embedded").config.replace_values({"training.eval_every": 1})
    trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))
    worker_trial = WorkerTrial(
        trial, "valid/recall@20", FakeBackend(healthy=True), load_dataset("embedded")
    )
    worker_trial.start("cpu")
    report = worker_trial.record_epoch(
        FusedEpoch(worker_trial.run, worker_trial.run.next_epoch(), None, 0.0), 1.0
    )
    assert "cost/joules" not in report.epochs[1]
