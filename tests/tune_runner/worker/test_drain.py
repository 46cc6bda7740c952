"""A worker on a node that is about to be taken away saves after every epoch, and loses none."""

from diffrec.config.presets import preset
from diffrec.data import load_dataset
from tune_runner.trials.groups import AssignedTrial
from tune_runner.worker import drain
from tune_runner.worker.backend import TrainingBackend
from tune_runner.worker.drain import DrainNotice
from tune_runner.worker.trial import WorkerTrial

OBJECTIVE = "valid/recall@20"
EPOCHS = {"training.max_epochs": 10, "training.eval_every": 5}


def started(folder, draining):
    """A trial of ten epochs, validated after five, with its group of one."""
    config = preset("DiffRec", "embedded").config.replace_values(EPOCHS)
    assigned = AssignedTrial(0, "0000", config.to_dict(), str(folder / "0000"))
    backend, dataset = TrainingBackend(), load_dataset("embedded")
    trial = WorkerTrial(assigned, OBJECTIVE, backend, dataset, is_draining=lambda: draining)
    trial.start("cpu")
    group = backend.fuse()
    group.join(trial.run)
    return trial, group


def train(trial, group, epochs):
    """Train so many epochs; return the metrics by epoch of all reports."""
    reports = [trial.record_epoch(group.next_epoch()[0], 0.0) for _ in range(epochs)]
    return {e: row for report in reports if report for e, row in report.epochs.items()}


def values(rows):
    """What does not depend on the clock."""
    return {e: {k: v for k, v in row.items() if "second" not in k} for e, row in rows.items()}


def test_a_draining_worker_saves_between_validations_and_no_epoch_is_lost(tmp_path):
    trial, group = started(tmp_path, draining=True)
    assert train(trial, group, 3) == {}
    successor, group = started(tmp_path, draining=False)
    assert successor.run.epoch == 3
    resumed = values(train(successor, group, 2))
    assert sorted(resumed) == [1, 2, 3, 4, 5]

    (tmp_path / "other").mkdir()
    assert values(train(*started(tmp_path / "other", draining=False), 5)) == resumed


def test_without_notice_a_worker_saves_at_validations_alone(tmp_path):
    trial, group = started(tmp_path, draining=False)
    train(trial, group, 3)
    assert started(tmp_path, draining=False)[0].run.epoch == 0


def test_while_rays_gcs_is_away_a_worker_trains_on_and_looks_again(monkeypatch, caplog):
    monkeypatch.setattr(drain, "_PERIOD_SECONDS", 0.0)
    answers = iter([ConnectionError("GCS is away"), RuntimeError("still"), False, True])

    def look_up():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    notice = DrainNotice(look_up)
    assert [notice() for _ in range(5)] == [False, False, False, True, True]
    assert "cannot be looked up now: GCS is away" in caplog.text
