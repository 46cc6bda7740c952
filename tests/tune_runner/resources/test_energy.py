"""Measured energy: shares of all trials and the idle part sum to what the machine took."""

import math

import pytest

from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.training.fused.runs import FusedEpoch
from diffrec.training.run import NonFiniteLossError
from fake_run import FakeEngine
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
    found = [meter.joules() for meter in meters]
    assert found == pytest.approx([10, 20, 40])
    assert sum(found) + 80 * 1 / 8 == pytest.approx(80)
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
        made = WorkerTrial(
            trial, "valid/recall@20", FakeEngine(healthy=True), load_dataset("embedded")
        )
        made.start("cpu")
        return made

    def train(made, joules):
        epoch = FusedEpoch(made.run, made.run.next_epoch(), None, 0.0)
        return made.record_epoch(epoch, 1000.0, joules).epochs

    first = member()
    assert [train(first, 5.0)[1]["cost/joules"], train(first, 7.0)[2]["cost/joules"]] == [5, 12]
    again = member()
    assert train(again, 1.0)[3]["cost/joules"] == 13
    assert math.isnan(train(member(), None)[4]["cost/joules"])  # a gap: no part is the whole


def test_epochs_that_led_to_a_broken_loss_have_cost_too(tmp_path):
    config = preset("DiffRec", "embedded").config.replace_values({"training.eval_every": 5})
    trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))
    made = WorkerTrial(trial, "valid/recall@20", FakeEngine(healthy=True), load_dataset("embedded"))
    made.start("cpu")
    assert (
        made.record_epoch(FusedEpoch(made.run, made.run.next_epoch(), None, 0.0), 1.0, 3.0) is None
    )
    error = NonFiniteLossError(2)
    with pytest.raises(NonFiniteLossError):
        made.record_epoch(FusedEpoch(made.run, None, error, 0.0), 1.0, 4.0)
    report = made.failure_report(error)
    assert set(report.epochs) == {1, 2}
    assert report.epochs[2]["cost/joules"] == 7.0


@pytest.fixture
def begin(tmp_path):
    """A trial of ours in a worker; every time the meter is asked, 10 joules were taken."""

    def begun(epochs=2, **rest):
        values = {"training.max_epochs": epochs, "training.eval_every": 1, **rest}
        config = preset("DiffRec", "embedded").config.replace_values(values)
        trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))
        backend, data = FakeEngine(healthy=True), load_dataset("embedded")
        made = WorkerTrial(trial, "valid/recall@20", backend, data, lambda: 10.0)
        made.start("cpu")
        return made

    return begun


def step(member, seconds, joules):
    """Train an epoch that took so much."""
    return member.record_epoch(
        FusedEpoch(member.run, member.run.next_epoch(), None, 0.0), seconds, joules
    )


def test_a_trial_given_up_after_any_report_has_told_its_seconds_without_the_pauses(begin):
    first = begin(epochs=9)
    told = [step(first, seconds, 1.0).epochs for seconds in (1000.0, 100.0)]
    assert told[0][1]["cost/seconds"] == pytest.approx(1000, abs=60)  # and what building took
    assert told[1][2]["cost/seconds"] - told[0][1]["cost/seconds"] == 100
    again = begin(epochs=9)  # later, in another worker: the time between is nobody's
    for _ in told:
        again.replay()
    third = step(again, 10.0, 1.0).epochs[3]["cost/seconds"]
    assert third - told[1][2]["cost/seconds"] == pytest.approx(10, abs=60)


def test_of_a_shared_worker_a_trial_holds_its_part_and_of_its_own_the_whole(tmp_path):
    config = preset("DiffRec", "embedded").config.replace_values({"training.eval_every": 1})
    trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))

    def taken_up(share):
        backend, data = FakeEngine(healthy=True), load_dataset("embedded")
        made = WorkerTrial(trial, "valid/recall@20", backend, data, resources=share)
        made.start("cpu")
        return made

    def train(made, seconds, part):
        epoch = FusedEpoch(made.run, made.run.next_epoch(), None, 0.0)
        report = made.record_epoch(epoch, seconds, fraction=part)
        return report.epochs[made.run.epoch]

    fused = taken_up((2.0, 1.0))
    built = fused._core_seconds  # by itself, with the whole share
    told = train(fused, 1000.0, 0.25)
    assert told["cost/core_seconds"] == pytest.approx(built + 2 * 250)
    assert told["cost/gpu_seconds"] == pytest.approx(built / 2 + 250)
    alone = taken_up((1.0, 0.5))  # after an interruption, with another share
    again = alone._core_seconds - told["cost/core_seconds"]
    told = train(alone, 100.0, 1.0)
    assert told["cost/core_seconds"] == pytest.approx(built + 500 + again + 100)
    assert told["cost/gpu_seconds"] == pytest.approx(built / 2 + 250 + again / 2 + 50)


def test_a_trial_that_fails_has_told_what_it_took(begin):
    made = begin(epochs=9)
    step(made, 1000.0, 5.0)
    outcome = made.failure_report(ValueError("x")).outcome
    assert outcome.metrics["cost/seconds"] == pytest.approx(1000, abs=60)
    assert outcome.metrics["cost/joules"] == 5.0


def test_scoring_the_test_set_is_paid_for_in_seconds_and_in_joules(begin):
    made = begin(epochs=2)
    step(made, 1.0, 3.0)
    before = made._seconds
    last = step(made, 1.0, 4.0)
    for told in (last.epochs[2], last.outcome.metrics):
        assert told["cost/joules"] == 17.0
        assert told["cost/seconds"] > before + 1.0
    again = begin(epochs=2)  # from the checkpoint: the test is scored, and paid for, once more
    assert [again.replay().epochs[epoch]["cost/joules"] for epoch in (1, 2)] == [3.0, 17.0]


def test_a_machine_that_shows_no_energy_has_no_metric(tmp_path):
    config = preset("DiffRec", "embedded").config.replace_values({"training.eval_every": 1})
    trial = AssignedTrial(0, "0000 x", config.to_dict(), str(tmp_path / "trial"))
    made = WorkerTrial(trial, "valid/recall@20", FakeEngine(healthy=True), load_dataset("embedded"))
    made.start("cpu")
    report = made.record_epoch(FusedEpoch(made.run, made.run.next_epoch(), None, 0.0), 1.0)
    assert "cost/joules" not in report.epochs[1]
