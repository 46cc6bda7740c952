"""A space may mix families: each parameter belongs to those that its conditions allow."""

import numpy as np
import pytest

from diffrec.config.presets_baselines import BASELINES
from diffrec.errors import UserError
from sampling import sample
from search_spaces import Choice, Condition, LogUniform, SearchSpace, get_space
from search_spaces.variants import is_searched, variants_with
from tune_runner.study.config import StudyConfig, make_plan

EASE = Condition("variant", ("EASE", "RecencyEASE"))
MIXED = {
    "variant": Choice("DiffRec", "T-DiffRec", "Popularity", "EASE", "RecencyEASE", "MultVAE"),
    "regularization": Choice(100.0, 1000.0),
    "half_life": Choice(3.0, 10.0),
    "training.learning_rate": Choice(1e-3, 1e-4),
    "diffusion.num_steps": Choice(5),
}
CONDITIONS = {
    "regularization": EASE,
    "half_life": Condition("variant", ("RecencyEASE",)),
    "training.learning_rate": Condition("variant", ("DiffRec", "T-DiffRec", "MultVAE")),
    "diffusion.num_steps": Condition("variant", ("DiffRec", "T-DiffRec")),
}


def mixed(**changes):
    fields = {"domains": MIXED, "conditions": CONDITIONS, **changes}
    return SearchSpace(name="mixed", question="?", **fields)


def test_a_cell_holds_the_parameters_of_its_own_family_only():
    cells = mixed().cells()
    names = {c["variant"]: sorted(p for p in c if p != "variant") for c in cells}
    assert names == {
        "DiffRec": ["diffusion.num_steps", "training.learning_rate"],
        "T-DiffRec": ["diffusion.num_steps", "training.learning_rate"],
        "Popularity": [],
        "EASE": ["regularization"],
        "RecencyEASE": ["half_life", "regularization"],
        "MultVAE": ["training.learning_rate"],
    }
    assert len(cells) == 2 + 2 + 1 + 2 + 4 + 2


def test_each_cell_resolves_to_its_own_family():
    space = mixed()
    for cell in space.cells():
        config = space.resolve(cell, "ml-1m_clean", seed=3)
        assert (config.variant, config.seed) == (cell["variant"], 3)
        for path in set(cell) - {"variant"}:
            node = config
            for part in path.split("."):
                node = getattr(node, part)
            assert node == cell[path]


def test_an_override_acts_on_those_that_have_the_field():
    space = mixed(overrides={"training.max_epochs": 6, "training.eval_every": 2})
    of = {v: space.resolve({"variant": v}, "embedded") for v in ("DiffRec", "MultVAE", "EASE")}
    assert of["DiffRec"].training.max_epochs == of["MultVAE"].training.max_epochs == 6
    assert of["EASE"].variant == "EASE"


def test_a_parameter_reaches_the_variants_of_all_the_conditions_it_hangs_on():
    space = mixed(
        conditions={
            **CONDITIONS,
            "diffusion.num_steps": Condition("training.learning_rate", (1e-3,)),
        },
        domains={**MIXED, "variant": Choice("DiffRec", "EASE", "RecencyEASE")},
    )
    assert variants_with(space, "diffusion.num_steps") == ("DiffRec",)
    assert variants_with(space, "regularization") == ("EASE", "RecencyEASE")
    assert is_searched(space, "EASE")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"conditions": {**CONDITIONS, "regularization": Condition("variant", ("MultVAE",))}},
            "`regularization` with MultVAE, which has no such field.*give it a Condition",
        ),
        (
            {"conditions": {k: v for k, v in CONDITIONS.items() if k != "diffusion.num_steps"}},
            "`diffusion.num_steps` with Popularity",
        ),
        (
            {"conditions": {**CONDITIONS, "half_life": Condition("variant", ("L-DiffRec",))}},
            "never searches `half_life`",
        ),
        ({"domains": {**MIXED, "regularisation": Choice(1.0)}}, "did you mean 'regularization'"),
        ({"domains": {**MIXED, "latent_dims": Choice(1)}}, "did you mean 'latent_dim'"),
        ({"domains": {**MIXED, "regularization": Choice("a")}}, "must be of type float"),
        ({"domains": {**MIXED, "variant": Choice("EASY")}}, "did you mean 'EASE'"),
        ({"domains": {**MIXED, "variant": LogUniform(1, 2)}}, "by a Choice of names"),
        ({"overrides": {"num_neighbours": 5}}, "none of its variants"),
        ({"equal_share": True}, "needs a sampler"),
        (
            {
                "domains": {"variant": Choice("Popularity")},
                "conditions": {},
                "equal_share": True,
                "strategy": "random",
                "trials": 2,
            },
            "something to search",
        ),
    ],
)
def test_a_fault_in_a_mixed_space_is_one_sentence(changes, words):
    with pytest.raises(UserError, match=words) as caught:
        mixed(**changes)
    assert "\n" not in str(caught.value)


def test_the_space_of_baselines_samples_what_belongs_to_each():
    space, rng = get_space("baselines"), np.random.default_rng(0)
    seen = {}
    for _ in range(200):
        params = space.build_point(lambda _, domain: sample(domain, rng))
        seen[params["variant"]] = sorted(set(params) - {"variant"})
        assert space.resolve(params, "ml-1m_clean").variant == params["variant"]
    assert seen == {
        "Popularity": [],
        "ItemKNN": ["num_neighbours", "shrinkage"],
        "EASE": ["regularization"],
        "RecencyEASE": ["half_life", "regularization"],
        "DirectedRidge": [
            "future_half_life",
            "past_half_life",
            "popularity_exponent",
            "regularization",
        ],
        "MultVAE": ["dropout", "kl_weight_max", "latent_dim", "training.learning_rate"],
    }


@pytest.mark.parametrize("name", ["clustering_ablation", "temporal_weighting", "smoke"])
def test_baselines_stand_beside_any_grid_and_change_none_of_its_cells(name):
    plain, beside = get_space(name), get_space(f"{name}+baselines")
    before = [plain.resolve(cell, "embedded") for cell in plain.cells()]
    after = [beside.resolve(cell, "embedded") for cell in beside.cells()]
    assert [config.variant for config in after[-len(BASELINES) :]] == list(BASELINES)
    assert after[: -len(BASELINES)] == before
    if plain.control is not None:
        assert beside.resolve(beside.control, "embedded") == plain.resolve(
            plain.control, "embedded"
        )


def test_baselines_cannot_stand_beside_sampled_points():
    with pytest.raises(UserError, match="run --space baselines"):
        get_space("joint+baselines")


def study(space, **changes):
    return make_plan(StudyConfig(space="mixed", name="mixed", **changes), space)


def test_a_limit_of_epochs_that_could_limit_nothing_is_refused():
    closed = SearchSpace(
        name="closed",
        question="?",
        domains={"variant": Choice("EASE", "Popularity")},
    )
    assert study(closed).trials == 2
    with pytest.raises(UserError, match=r"`training.max_epochs` has no effect in space 'closed'"):
        study(closed, max_epochs=10)
    with pytest.raises(UserError, match="nothing that the median pruner could stop"):
        study(closed, pruner="median")


def test_a_limit_of_epochs_is_tried_on_every_variant_before_anything_runs():
    assert study(mixed(), max_epochs=5).overrides == {"training.max_epochs": 5}
    with pytest.raises(UserError, match=r"eval_every <= .*max_epochs"):
        study(get_space("baselines"), max_epochs=3)


def test_patience_and_precision_reach_every_variant_that_trains():
    plan = study(mixed(), patience=7, precision="auto")
    assert plan.overrides == {"training.patience": 7, "training.precision": "auto"}
    configs = [
        mixed().resolve(p, "embedded", overrides=plan.overrides)
        for p in mixed().one_point_per_variant()
    ]
    trained = [config.training for config in configs if hasattr(config, "training")]
    assert {(t.patience, t.precision) for t in trained} == {(7, "auto")}


def test_what_is_searched_cannot_be_fixed_for_a_study():
    space = mixed(
        domains={"variant": Choice("DiffRec", "EASE"), "training.max_epochs": Choice(5, 10)},
        conditions={"training.max_epochs": Condition("variant", ("DiffRec",))},
    )
    with pytest.raises(UserError, match=r"searches `training\.max_epochs`"):
        study(space, max_epochs=5)
