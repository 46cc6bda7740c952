"""Presets of datasets for which nothing is published: the nearest in size, in the same steps."""

from math import ceil

import pytest

from diffrec.config.preset_choice import PUBLISHED_SHAPES, DatasetShape, nearest_dataset
from diffrec.config.presets import VARIANTS, preset
from diffrec.errors import UserError

SMALL = DatasetShape(1_000, 800, 60_000)
WIDE = DatasetShape(22_363, 12_101, 133_598)  # amazon-beauty


@pytest.mark.parametrize("name", [n for n in PUBLISHED_SHAPES if n.endswith("_clean")])
def test_a_published_dataset_is_nearest_to_itself(name):
    assert nearest_dataset(PUBLISHED_SHAPES[name], PUBLISHED_SHAPES) == name


@pytest.mark.parametrize(("shape", "chosen"), [(SMALL, "ml-1m_clean"), (WIDE, "yelp_clean")])
def test_size_and_density_choose_and_the_source_says_so(shape, chosen):
    found = preset("DiffRec", "mine", shape=shape)
    assert found.source.startswith(f"nothing is published for DiffRec on mine; values of {chosen}")
    assert shape.sentence() in found.source
    own, published = found.config, preset("DiffRec", chosen).config
    assert own.denoiser == published.denoiser
    assert own.diffusion == published.diffusion


@pytest.mark.parametrize("variant", [*VARIANTS, "L-DiffRec+learned_recency"])
@pytest.mark.parametrize("shape", [SMALL, WIDE, DatasetShape(300_000, 50_000, 9_000_000)])
def test_patience_and_epochs_mean_the_same_number_of_steps(variant, shape):
    own = preset(variant, "mine", shape=shape)
    base = variant.partition("+")[0]
    chosen = next(n for n in PUBLISHED_SHAPES if f"values of {n} " in own.source)
    published = preset(base, chosen).config.training
    users, batch = PUBLISHED_SHAPES[chosen].users, published.batch_size
    for name in ("patience", "max_epochs", "eval_every"):
        steps = getattr(own.config.training, name) * ceil(shape.users / batch)
        expected = getattr(published, name) * ceil(users / batch)
        assert steps == pytest.approx(expected, abs=ceil(shape.users / batch))
    assert own.config.training.patience >= own.config.training.eval_every


def test_the_user_chooses_the_dataset_whose_preset_is_taken():
    found = preset("DiffRec", "mine", shape=SMALL, like="yelp_clean")
    assert found.config.diffusion == preset("DiffRec", "yelp_clean").config.diffusion
    assert found.source.startswith("values of yelp_clean")
    assert preset("DiffRec", "ml-1m_clean", like="yelp_clean").config == (
        preset("DiffRec", "yelp_clean").config
    )


def test_a_dataset_for_which_nothing_is_published_cannot_be_chosen():
    with pytest.raises(UserError, match="Nothing is published for LT-DiffRec on 'yelp_noisy'"):
        preset("LT-DiffRec", "mine", like="yelp_noisy")


def test_a_published_dataset_keeps_its_own_preset_whatever_its_size():
    assert preset("DiffRec", "ml-1m_clean", shape=WIDE) == preset("DiffRec", "ml-1m_clean")
