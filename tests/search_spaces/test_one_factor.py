"""Spaces that ask about one factor have cells that differ in that factor alone."""

from itertools import combinations

import pytest

from diffrec.config.presets import preset
from diffrec.config.presets_weighted import WEIGHTINGS
from search_spaces import SPACES
from search_spaces.validation import flat_values

DATASETS = ("embedded", "ml-1m_clean", "ml-1m_noisy", "yelp_clean", "yelp_noisy")
WHERE = pytest.mark.parametrize("dataset", DATASETS)


def configurations(name, dataset):
    """Return {cell's values, sorted: its configuration as flat values}."""
    space = SPACES[name]
    return [(cell, flat_values(space.resolve(cell, dataset))) for cell in space.cells()]


def changed(one, other):
    """Return the paths in which two configurations differ."""
    return {path for path in one if one[path] != other[path]}


@WHERE
@pytest.mark.parametrize("base", ["DiffRec", "L-DiffRec"])
def test_cells_of_temporal_weighting_differ_in_the_weighting_alone(base, dataset):
    cells = [
        values
        for cell, values in configurations("temporal_weighting", dataset)
        if cell["variant"].split("+")[0] == base
    ]
    assert len(cells) == 1 + len(WEIGHTINGS)
    assert {values["temporal.weighting"] for values in cells} == {
        "none",
        "linear",
        "exponential",
        "learned_steps",
        "linear_learned_steps",
        "learned_recency",
    }
    plain = flat_values(preset(base, dataset).config)
    assert not changed(cells[0], plain)
    for one, other in combinations(cells, 2):
        assert all(path.startswith("temporal.") for path in changed(one, other))
    assert {values["temporal.inference_scale"] for values in cells} == {1.0}
    assert not any(values["temporal.guard"] for values in cells)


@WHERE
def test_w_is_all_that_linear_and_linear_learned_steps_differ_in(dataset):
    cells = {c["variant"]: v for c, v in configurations("temporal_weighting", dataset)}
    w = {"temporal.weighting", "temporal.ltw_learning_rate", "temporal.per_step"}
    for base in ("DiffRec", "L-DiffRec"):
        assert changed(cells[base], cells[f"{base}+learned_steps"]) == w
        assert changed(cells[f"{base}+linear"], cells[f"{base}+linear+learned_steps"]) == w
        line = changed(cells[base], cells[f"{base}+linear"])
        assert line == changed(
            cells[f"{base}+learned_steps"], cells[f"{base}+linear+learned_steps"]
        )


@WHERE
@pytest.mark.parametrize("base", ["T-DiffRec", "LT-DiffRec"])
def test_w_is_all_that_ltw_adds_to_its_baseline(base, dataset):
    cells = {c["variant"]: v for c, v in configurations("learned_steps", dataset)}
    plain, learned = cells[base], cells[f"{base}+LTW"]
    assert plain == flat_values(preset(base, dataset).config)
    assert changed(plain, learned) == {
        "temporal.weighting",
        "temporal.ltw_learning_rate",
        "temporal.per_step",
        "temporal.ltw_init",
        "temporal.ltw_parametrisation",
        "temporal.ltw_order",
    }
    assert learned["temporal.ltw_learning_rate"] == plain["training.learning_rate"]


@WHERE
def test_cells_of_recency_differ_in_the_weighting_or_in_the_scale(dataset):
    cells = configurations("recency", dataset)
    for (one, a), (other, b) in combinations(cells, 2):
        scale = {path for path in one if one[path] != other[path]}
        if scale == {"temporal.inference_scale"}:
            assert changed(a, b) == scale
        elif scale == {"variant"}:
            assert all(path.startswith("temporal.") for path in changed(a, b))
            assert "temporal.inference_scale" not in changed(a, b)
