"""Every shipped space: what it samples always builds, and it starts where it says."""

from pathlib import Path

import numpy as np
import pytest

import search_spaces
from diffrec.config.preset_choice import DatasetShape, TargetDataset
from diffrec.config.presets import preset, preset_for
from diffrec.errors import UserError
from sampling import sample
from search_spaces import SPACES, LogUniform, SearchSpace, get_space
from search_spaces.validation import flat_values
from search_spaces.variants import variants_of

DATASETS = (
    *("embedded", "ml-1m_clean", "ml-1m_noisy", "amazon-book_clean", "yelp_noisy"),
    TargetDataset("small", DatasetShape(40, 30, 200)),
    TargetDataset("wide", DatasetShape(22_363, 12_101, 133_598)),
    TargetDataset("large", DatasetShape(900_000, 50_000, 25_000_000)),
)
FOLDER = Path(search_spaces.__file__).parents[1] / "docs" / "spaces"
KNOWN = {name: name for name in SPACES} | {path.name: str(path) for path in FOLDER.glob("*.py")}
SAMPLED = [name for name in KNOWN if get_space(KNOWN[name]).strategy != "grid"]
GRIDS = [name for name in KNOWN if get_space(KNOWN[name]).strategy == "grid"]


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: getattr(d, "name", d))
def test_whatever_is_sampled_is_a_valid_configuration(name, dataset):
    space, rng = get_space(KNOWN[name]), np.random.default_rng(0)
    for _ in range(100):
        params = space.build_point(lambda _, domain: sample(domain, rng))
        config = space.resolve(params, dataset)
        assert all(space.is_active(path, params) for path in params)
        if "diffusion.noise_max" in params:
            assert params["diffusion.noise_min"] <= params["diffusion.noise_max"]
        elif "diffusion.noise_max" in space.domains:
            assert config.diffusion.noise_max is None


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: getattr(d, "name", d))
def test_every_cell_of_a_grid_is_a_valid_and_different_configuration(name, dataset):
    space = get_space(KNOWN[name])
    configs = [space.resolve(cell, dataset) for cell in space.cells()]
    assert len({str(config.to_dict()) for config in configs}) == len(configs)


@pytest.mark.parametrize("name", [n for n in SPACES if SPACES[n].start_published])
@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: getattr(d, "name", d))
def test_a_search_starts_from_the_published_configuration(name, dataset):
    space = get_space(name)
    for variant in variants_of(space) if space.equal_share else variants_of(space)[:1]:
        draws = space.published_samples(dataset, variant)
        start = space.resolve(space.values_of(draws), dataset).to_dict()
        published = preset_for(variant, dataset).config.to_dict()
        if "diffusion" in start:
            assert start["diffusion"].pop("noise_max") == pytest.approx(
                published["diffusion"].pop("noise_max"), rel=1e-12
            )
        assert start == published


def test_a_start_outside_the_space_is_refused():
    space = SearchSpace(
        name="tiny",
        question="?",
        variant="DiffRec",
        domains={"training.learning_rate": LogUniform(0.1, 1.0)},
        strategy="random",
        trials=1,
        start_published=True,
    )
    with pytest.raises(UserError, match="outside its domain"):
        space.published_samples("embedded")


def test_joint_samples_nothing_that_has_no_meaning():
    space, rng = get_space("joint"), np.random.default_rng(1)
    seen = set()
    for _ in range(300):
        params = space.build_point(lambda _, domain: sample(domain, rng))
        variant = params["variant"]
        seen.add(variant)
        assert ("autoencoder.num_clusters" in params) == variant.startswith("L")
        assert ("temporal.half_life" in params) == variant.endswith("+exponential")
        clusters = params.get("autoencoder.num_clusters", 1)
        assert ("autoencoder.clustering" in params) == (clusters > 1)
    assert len(seen) == len(space.sampled_domain("variant").corners())


def test_cells_of_forecasting_change_one_setting_of_the_control():
    space = get_space("forecasting")
    control = space.resolve(space.control, "ml-1m_clean")
    assert control == preset("F-DiffRec", "ml-1m_clean").config
    for cell in space.cells():
        changed = flat_values(space.resolve(cell, "ml-1m_clean"))
        different = [k for k, v in flat_values(control).items() if changed[k] != v]
        assert len(different) == (cell != space.control), cell


def test_bridges_are_compared_with_one_step_without_noise():
    space = get_space("forecasting_bridge")
    assert space.resolve(space.control, "embedded") == preset("F-DiffRec", "embedded").config
    steps = [space.resolve(cell, "embedded").bridge for cell in space.cells()]
    assert len(steps) == 3 + 2 * 4
