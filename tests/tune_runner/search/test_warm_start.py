"""A search starts from the best points of earlier studies, and takes no others."""

import json

import pytest
from optuna.pruners import NopPruner

from diffrec.errors import UserError
from search_spaces import Choice, Condition, LogUniform, Objective, SearchSpace
from tune_runner.search.samplers import make_sampler
from tune_runner.search.storage import open_study
from tune_runner.search.study_store import StudyStore
from tune_runner.search.warm_start import POINTS, earlier_points
from tune_runner.study.config import StudyConfig, StudyPlan, make_plan
from tune_runner.study.folder import StudyFolder

RATE = "training.learning_rate"


def space_of(low=1e-5, high=1e-1, **changes):
    fields = {
        "name": "rates",
        "question": "?",
        "domains": {
            "variant": Choice("DiffRec", "DiffRec+exponential"),
            RATE: LogUniform(low, high),
            "temporal.half_life": LogUniform(1.0, 200.0),
        },
        "conditions": {"temporal.half_life": Condition("variant", ("DiffRec+exponential",))},
        "strategy": "random",
        "trials": 20,
    }
    return SearchSpace(**(fields | changes))


@pytest.fixture
def earlier(tmp_path):
    """A study of twenty points, better with a larger rate; returns its proposals by value."""
    space = space_of()
    folder = StudyFolder(tmp_path, "old")
    folder.path.mkdir()
    url = folder.storage_url
    study = open_study(url, "old", ["maximize"], NopPruner(), identity="old")
    study.sampler = make_sampler("random", space, 0)
    store = StudyStore(study, space, StudyPlan("random", "none", (1,), 20))
    while (record := store.ask()) is not None:
        store.complete(record.number, record.params[RATE])
    description = {
        "settings": {"name": "old"},
        "plan": {"trials": 20, "sampler": "random"},
        "space": {"name": "rates", "objective": {"name": "valid/recall@20",
                                                 "direction": "maximize"}},
        "dataset": {"name": "embedded"},
    }  # fmt: skip
    (folder.path / "study.json").write_text(json.dumps(description))
    return sorted((t.params for t in study.trials), key=lambda p: -p[RATE])


def test_the_best_points_come_first_and_those_outside_the_space_not_at_all(earlier, tmp_path):
    assert earlier_points(str(tmp_path), "old", space_of()) == earlier[:POINTS]
    limit = earlier[3][RATE] * 1.000001
    inside = earlier_points(str(tmp_path), "old", space_of(high=limit))
    assert inside == earlier[3 : 3 + POINTS]
    one = space_of(domains={"variant": Choice("DiffRec"), RATE: LogUniform(1e-5, 1e-1)},
                   conditions={})  # fmt: skip
    plain = [p for p in earlier if p["variant"] == "DiffRec"]
    assert earlier_points(str(tmp_path), "old,old", one) == plain[:POINTS]


def test_a_study_that_cannot_be_started_from_is_one_sentence(earlier, tmp_path):
    for space, name, reason in (
        (space_of(), "none", "none"),
        (space_of(high=1.1e-5), "old", "none of its complete points lies in space 'rates'"),
        (space_of(objective=Objective("valid/ndcg@20")), "old", "selected by valid/recall@20"),
    ):
        with pytest.raises(UserError, match=reason):
            earlier_points(str(tmp_path), name, space)


def test_a_grid_has_all_its_points_already():
    space = space_of(domains={"variant": Choice("DiffRec", "EASE")}, conditions={},
                     strategy="grid", trials=None)  # fmt: skip
    config = StudyConfig(space="s", name="s", start_from="old")
    with pytest.raises(UserError, match="--start-from gives a sampler points to begin with"):
        make_plan(config, space)
