"""Plans of studies: what their trials need of the data."""

from random import Random

import pytest

from search_spaces import SPACES
from tune_runner.study.config import StudyConfig, make_plan


@pytest.mark.parametrize("name", SPACES)
def test_embeddings_are_needed_where_a_trial_clusters_the_items(name):
    space, rng = SPACES[name], Random(0)
    plan = make_plan(StudyConfig(space=name, name="x"), space)
    if plan.sampler == "grid":
        points = space.cells()
    else:
        points = [
            space.build_point(lambda _, domain: rng.choice(domain.corners())) for _ in range(100)
        ]
    configs = [space.resolve(params, "embedded") for params in points]
    assert plan.needs_embeddings(space) == any(config.needs_embeddings for config in configs)
