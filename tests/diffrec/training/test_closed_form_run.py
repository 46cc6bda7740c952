import io

import pytest
import torch

from diffrec.config.baselines import EASEConfig
from diffrec.config.presets import preset
from diffrec.config.presets_baselines import BASELINES
from diffrec.data import load_dataset
from diffrec.training import runs as training
from diffrec.training.runs import build_run
from real_data import real_data_dir, require_real_data

SOLVED = [name for name in BASELINES if name != "MultVAE"]


@pytest.mark.parametrize("variant", SOLVED)
def test_a_closed_form_run_has_one_epoch_and_then_is_finished(variant, dataset):
    run = build_run(preset(variant, "embedded").config, dataset.tuning_split())
    assert (run.epoch, run.best_epoch, run.finished) == (0, 0, False)
    (report,) = run.epochs()
    assert (report.epoch, report.is_best, report.finished) == (1, True, True)
    assert run.finished
    assert run.best_epoch == 1
    assert report.metrics == run.best_metrics
    assert run.best_metrics["valid/recall@20"] > 0


@pytest.mark.parametrize("variant", SOLVED)
def test_a_resumed_run_scores_as_the_one_that_was_saved(variant, dataset):
    config = preset(variant, "embedded").config
    run = build_run(config, dataset.tuning_split())
    run.next_epoch()
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    file.seek(0)
    resumed = build_run(config, dataset.tuning_split())
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed.finished
    assert training.score_test(resumed, dataset.test) == training.score_test(run, dataset.test)


def test_a_state_of_another_configuration_is_refused(dataset):
    split = dataset.tuning_split()
    run = build_run(EASEConfig(), split)
    run.next_epoch()
    with pytest.raises(ValueError, match="another configuration"):
        build_run(EASEConfig(regularization=2.0), split).load_state_dict(run.state_dict())


def test_what_a_user_did_lately_says_more_on_drifting_tastes(dataset):
    recalls = {}
    for variant in SOLVED:
        run = build_run(preset(variant, "embedded").config, dataset.tuning_split())
        run.next_epoch()
        recalls[variant] = training.score_test(run, dataset.test)["test/recall@20"]
    assert recalls["Popularity"] < recalls["EASE"] < recalls["RecencyEASE"]


# FIELD.md, section 4: measured there with independent code on the same files.
PUBLISHED = {
    "Popularity": (0.0993, 0.0005),
    "ItemKNN": (0.1702, 0.001),
    "EASE": (0.1816, 0.001),
    "RecencyEASE": (0.2520, 0.001),
}
CHRONOLOGICAL = {"EASE": (0.1233, 0.0005), "RecencyEASE": (0.1358, 0.0005)}


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("protocol", "variant", "expected"),
    [("published", *row) for row in PUBLISHED.items()]
    + [("chronological", *row) for row in CHRONOLOGICAL.items()],
)
def test_recall_on_ml_1m_clean_is_what_was_measured_elsewhere(protocol, variant, expected):
    require_real_data("ml-1m_clean")
    dataset = load_dataset("ml-1m_clean", real_data_dir(), protocol)
    run = build_run(preset(variant, dataset.name).config, dataset.tuning_split())
    run.next_epoch()
    value, tolerance = expected
    assert training.score_test(run, dataset.test)["test/recall@20"] == pytest.approx(
        value, abs=tolerance
    )
