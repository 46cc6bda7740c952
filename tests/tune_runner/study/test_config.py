"""Plans of studies: what their trials need of the data; budgets from Python and on a resume."""

from random import Random

import pytest

from diffrec.errors import UserError
from search_spaces import SPACES
from tune_runner.resources.spending import Spent
from tune_runner.study import options
from tune_runner.study.budgets import Budgets
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


@pytest.mark.parametrize(
    ("given", "kept"), [(0.35, "0.35"), (2, "2"), ("gpu=2,0.1", "gpu=2,0.1"), (None, None)]
)
def test_a_price_given_in_python_may_be_a_number(given, kept):
    complete = options.complete_options({"price": given}, options.STUDY_DEFAULTS)
    config = options.new_config("smoke", complete)
    assert config.price == kept
    assert (config.budgets.prices is None) == (kept is None)


def test_a_resumed_study_keeps_its_budget_unless_it_is_given_another(study_folder):
    with study_folder as folder:
        settings = {"price": "1", "max_cost": 5.0, "space": "smoke"}
        description = folder.read()
        description["settings"] |= settings
        description["plan"] |= {"sampler": "grid", "seeds": [1]}
        description["dataset"] |= {"sha256": "", "protocol": "published"}
        folder.write(description)
        folder.write_spent(Spent({"head": 10.0}, cost=4.0).to_json())
        folder.write(description)  # as the next run of the command does: what was spent stays

    def resumed(**given):
        complete = options.complete_options(given, options.RESUME_DEFAULTS)
        return options.resumed_config("begun", str(folder.path.parent), complete)

    assert resumed().budgets == Budgets("1", 5.0)
    assert resumed(price="2", max_cost=6.0).budgets == Budgets("2", 6.0)
    with pytest.raises(UserError, match="must be more than the 4 that the study has spent"):
        resumed(max_cost=3.0)
