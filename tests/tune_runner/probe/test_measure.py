"""Measurements of a part of the users stand for all of them."""

import numpy as np

from diffrec.config.presets import preset
from diffrec.data import Dataset, Interactions, load_dataset
from tune_runner.probe import measure
from tune_runner.resources.allocation import TrialResources


def repeated(dataset, times):
    """The dataset with every user `times` times."""

    def rows(part):
        users = np.tile(np.arange(part.num_users), times)
        return part.select_users(users)

    return Dataset(
        "many", *(rows(p) for p in (dataset.train, dataset.valid, dataset.test)), None, "none", "00"
    )


def test_the_users_beyond_a_dozen_batches_are_not_trained_but_counted(monkeypatch):
    dataset = repeated(load_dataset("embedded"), 3)
    config = preset("DiffRec", "embedded").config.replace_values({"training.batch_size": 50})
    trained, scales = [], []
    from diffrec.training import runs

    build = runs.build_run

    def watched(config, split, *, device):
        trained.append(split.train.num_users)
        run = build(config, split, device=device)
        step = run.next_epoch

        def next_epoch():
            report = step()
            scales.append(report.seconds)
            return report

        run.next_epoch = next_epoch
        return run

    monkeypatch.setattr(runs, "build_run", watched)
    monkeypatch.setattr(measure, "apply_resource_limits", lambda resources: "cpu")
    found = measure.measure(config, dataset, TrialResources(1, 0))
    assert trained == [600]
    assert found.epoch_seconds == scales[-1] * dataset.num_users / 600


def test_the_first_users_keep_their_rows_and_all_items():
    split = load_dataset("embedded").tuning_split()
    cut = measure.first_users(split, 7)
    assert isinstance(cut.train, Interactions)
    assert (cut.train.num_users, cut.train.num_items) == (7, split.train.num_items)
    for user in range(7):
        for one, other in ((cut.train, split.train), (cut.valid, split.valid)):
            assert one.items_of(user).tolist() == other.items_of(user).tolist()
    assert measure.first_users(split, 10**6).train.num_users == split.train.num_users
