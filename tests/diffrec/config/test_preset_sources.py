"""Presets of both sources: the released checkpoints' and what the reproduction study ran."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from diffrec.config.preset_choice import DatasetShape, TargetDataset
from diffrec.config.preset_rows import PUBLISHED_ROWS, REPORT_ROWS
from diffrec.config.presets import is_as_run_by, preset, preset_for
from diffrec.errors import UserError
from search_spaces import SPACES

ML_1M = pytest.mark.parametrize("dataset", ["ml-1m_clean", "ml-1m_noisy"])


def reported(variant, dataset):
    """Return the report's configuration."""
    return preset(variant, dataset, source="report").config


def noise(config):
    """Return (scale, min, max)."""
    d = config.diffusion
    return (d.noise_scale, d.noise_min, d.noise_max)


def test_the_report_ran_its_scripts_defaults_and_set_the_steps_for_each_dataset():
    for (variant, dataset), row in REPORT_ROWS.items():
        config = reported(variant, dataset)
        assert config.variant == variant
        assert config.training.learning_rate == 1e-4
        assert (config.training.patience, config.training.max_epochs) == (20, 1000)
        assert config.diffusion.num_inference_noise_steps == 0
        latent, timed = variant.startswith("L"), variant != variant.replace("T-", "-")
        assert config.denoiser.hidden_dims == ((300,) if latent else (1000,))
        assert (config.autoencoder is not None) == latent
        assert (config.temporal.weighting == "linear") == timed
        if variant == "LT-DiffRec":
            assert (noise(config), config.training.batch_size) == ((0.01, 0.005, 0.01), 200)
            assert config.autoencoder.learning_rate == 5e-4
            assert (config.temporal.weight_min, config.temporal.weight_max) == (0.5, 1.0)
        else:
            assert (noise(config), config.training.batch_size) == ((0.1, 0.0001, 0.02), 400)
        if variant == "L-DiffRec":
            assert config.autoencoder.learning_rate == 1e-4
            assert (config.autoencoder.num_clusters, config.autoencoder.latent_dim) == (2, 300)
            assert config.autoencoder.diffusion_weight == 0.03
        if variant == "T-DiffRec":
            assert (config.temporal.weight_min, config.temporal.weight_max) == (0.1, 1.0)
        assert "script defaults" in row.source


@pytest.mark.parametrize(
    ("variant", "steps"),
    [("DiffRec", (40, 5)), ("L-DiffRec", (40, 100)), ("T-DiffRec", (5, 5)), ("LT-DiffRec", (5, 5))],
)
def test_steps_of_the_report_on_ml_1m(variant, steps):
    actual = tuple(
        reported(variant, dataset).diffusion.num_steps for dataset in ("ml-1m_clean", "ml-1m_noisy")
    )
    assert actual == steps


def test_presets_of_the_paper_are_those_of_the_checkpoints_names():
    path = Path(__file__).parents[3].parent / "shared/reference/published_configs.csv"
    if not path.exists():
        pytest.skip("the list of published configurations is not here")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    published = {(r["variant"], r["dataset"]) for r in rows}
    assert published == {key for key in PUBLISHED_ROWS if key[1] != "embedded"}
    for row in rows:
        config = preset(row["variant"], row["dataset"]).config
        assert config.training.learning_rate == float(row["learning_rate"])
        assert list(config.denoiser.hidden_dims) == json.loads(row["hidden_dims"])
        assert config.diffusion.num_steps == int(row["num_steps"])
        bounds = tuple(float(row[f"noise_{name}"]) for name in ("scale", "min", "max"))
        assert noise(config) == bounds
        assert config.training.batch_size == int(row["batch_size"])


@ML_1M
def test_the_sources_are_two_experiments_where_both_have_one(dataset):
    for variant in ("DiffRec", "L-DiffRec"):
        assert reported(variant, dataset) != preset(variant, dataset).config
        assert not is_as_run_by("report", variant, dataset, "published")
        assert not is_as_run_by("published", variant, dataset, "report")
    for variant in ("T-DiffRec", "LT-DiffRec"):  # published by the report alone
        assert reported(variant, dataset) == preset(variant, dataset).config
        assert is_as_run_by("report", variant, dataset, "published")
        assert is_as_run_by("report", f"{variant}+LTW", dataset, "report")
    assert not is_as_run_by("report", "EASE", dataset, "published")


def test_weightings_extend_the_preset_of_their_source():
    plain, ltw = (reported(name, "ml-1m_clean") for name in ("T-DiffRec", "T-DiffRec+LTW"))
    assert replace(ltw, temporal=plain.temporal) == plain
    assert ltw.temporal.ltw_learning_rate == 1e-4
    line = reported("DiffRec+linear", "yelp_clean").temporal
    assert (line.weight_min, line.weight_max) == (0.1, 1.0)  # the paper's is from .5


def test_a_dataset_that_the_report_does_not_have_starts_from_the_nearest_and_says_so():
    shape = DatasetShape(943, 1_600, 70_000)
    start = preset("DiffRec", "mine", shape=shape, source="report")
    assert start.source.startswith("the report has nothing for DiffRec on mine; values of ml-1m")
    assert noise(start.config) == (0.1, 0.0001, 0.02)
    unknown = preset("LT-DiffRec", "amazon-book_noisy", source="report")
    assert unknown.source.startswith("the report has nothing for LT-DiffRec on amazon-book_noisy")
    with pytest.raises(UserError, match="The report has nothing for LT-DiffRec on 'amazon-book_no"):
        preset("LT-DiffRec", "mine", like="amazon-book_noisy", source="report")


@pytest.mark.parametrize("variant", ["EASE", "F-DiffRec"])
def test_a_variant_that_the_report_does_not_know_is_refused_alone_and_stays_beside_others(variant):
    with pytest.raises(UserError, match="leave out --preset"):
        preset(variant, "ml-1m_clean", source="report")
    target = TargetDataset("ml-1m_clean", source="report")
    assert preset_for(variant, target).config == preset(variant, "ml-1m_clean").config


@ML_1M
def test_a_space_takes_the_presets_of_its_source(dataset):
    space = SPACES["reproduction"]
    for source in ("published", "report"):
        target = TargetDataset(dataset, source=source)
        for cell in space.cells():
            expected = preset(cell["variant"], dataset, source=source).config
            assert space.resolve(cell, target) == expected
