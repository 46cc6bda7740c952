"""Presets of datasets for which nothing is published: the nearest in size, in the same steps."""

from math import ceil

import pytest

from diffrec.config.preset_choice import (
    PUBLISHED_SHAPES,
    DatasetShape,
    TargetDataset,
    nearest_dataset,
    shorten_interval,
)
from diffrec.config.presets import (
    ALL_VARIANTS,
    FALLBACK_DATASET,
    VARIANTS,
    WITHOUT_ROWS,
    preset,
    preset_for,
)
from diffrec.errors import UserError

SMALL = DatasetShape(1_000, 800, 60_000)
WIDE = DatasetShape(22_363, 12_101, 133_598)  # amazon-beauty


@pytest.mark.parametrize("name", [n for n in PUBLISHED_SHAPES if n.endswith("_clean")])
def test_a_published_dataset_is_nearest_to_itself(name):
    assert nearest_dataset(PUBLISHED_SHAPES[name], PUBLISHED_SHAPES) == name


@pytest.mark.parametrize(("shape", "chosen"), [(SMALL, "ml-1m_clean"), (WIDE, "yelp_clean")])
def test_size_and_density_choose_and_the_source_says_so(shape, chosen):
    start = preset("DiffRec", "mine", shape=shape)
    assert start.source.startswith(f"nothing is published for DiffRec on mine; values of {chosen}")
    assert start.choice is not None
    assert start.choice.startswith(f"{chosen} is the nearest published dataset")
    assert shape.sentence() in start.choice
    config, published = start.config, preset("DiffRec", chosen).config
    assert config.denoiser == published.denoiser
    assert config.diffusion == published.diffusion


@pytest.mark.parametrize(
    "variant", [*VARIANTS, "L-DiffRec+learned_recency", "MultVAE", "F-DiffRec", "LF-DiffRec"]
)
@pytest.mark.parametrize("shape", [SMALL, WIDE, DatasetShape(300_000, 50_000, 9_000_000)])
def test_patience_and_epochs_mean_the_same_number_of_steps(variant, shape):
    config = preset(variant, "mine", shape=shape)
    base = variant.partition("+")[0]
    chosen = next(
        (n for n in PUBLISHED_SHAPES if f"values of {n} " in config.source), FALLBACK_DATASET
    )
    published = preset(base, chosen).config.training
    users, batch = PUBLISHED_SHAPES[chosen].users, published.batch_size
    for name in ("patience", "max_epochs", "eval_every"):
        steps = getattr(config.config.training, name) * ceil(shape.users / batch)
        expected = getattr(published, name) * ceil(users / batch)
        assert steps == pytest.approx(expected, abs=ceil(shape.users / batch))
    assert config.config.training.patience >= config.config.training.eval_every


def test_the_user_chooses_the_dataset_whose_preset_is_taken():
    start = preset("DiffRec", "mine", shape=SMALL, like="yelp_clean")
    assert start.config.diffusion == preset("DiffRec", "yelp_clean").config.diffusion
    assert start.source.startswith("values of yelp_clean")
    assert preset("DiffRec", "ml-1m_clean", like="yelp_clean").config == (
        preset("DiffRec", "yelp_clean").config
    )


def test_a_dataset_for_which_nothing_is_published_cannot_be_chosen():
    with pytest.raises(UserError, match="Nothing is published for LT-DiffRec on 'yelp_noisy'"):
        preset("LT-DiffRec", "mine", like="yelp_noisy")


def test_a_published_dataset_keeps_its_own_preset_whatever_its_size():
    for variant in ("DiffRec", "MultVAE", "F-DiffRec"):
        assert preset(variant, "ml-1m_clean", shape=WIDE) == preset(variant, "ml-1m_clean")
        assert preset(variant, "embedded", shape=WIDE) == preset(variant, "embedded")


@pytest.mark.parametrize("variant", WITHOUT_ROWS)
def test_nothing_is_chosen_where_all_published_datasets_have_the_same_values(variant):
    with pytest.raises(UserError, match="leave out --preset-of"):
        preset(variant, "mine", shape=SMALL, like="yelp_clean")
    target = TargetDataset("mine", SMALL, "yelp_clean")
    assert preset_for(variant, target) == preset(variant, "mine", shape=SMALL)


@pytest.mark.parametrize("variant", [v for v in ALL_VARIANTS if v not in WITHOUT_ROWS])
def test_a_target_stands_for_its_name_and_size(variant):
    assert preset_for(variant, "mine") == preset(variant, "mine")
    assert preset_for(variant, TargetDataset("mine", WIDE)) == preset(variant, "mine", shape=WIDE)
    like = preset(variant, "mine", shape=WIDE, like="ml-1m_clean")
    assert preset_for(variant, TargetDataset("mine", WIDE, "ml-1m_clean")) == like


@pytest.mark.parametrize(("epochs", "every"), [(25, 25), (26, 25), (24, 24), (6, 6), (3, 5)])
def test_fewer_epochs_shorten_a_lengthened_interval_down_to_the_published_one(epochs, every):
    base = preset("DiffRec", "mine", shape=SMALL).config
    assert base.training.eval_every == 25
    changes = {"training.max_epochs": epochs}
    start = shorten_interval(base, changes).get("training.eval_every", 25)
    assert start == every
    assert shorten_interval(base, {**changes, "training.eval_every": 2}) == {}
    assert shorten_interval(preset("DiffRec", "ml-1m_clean").config, changes) == {}
    assert shorten_interval(preset("EASE", "mine", shape=SMALL).config, changes) == {}


def test_linear_weights_added_to_a_variant_are_those_of_the_dataset_that_was_chosen():
    linear = preset("DiffRec+linear", "mine", shape=WIDE).config.temporal
    assert linear == preset("T-DiffRec", "yelp_clean").config.temporal
