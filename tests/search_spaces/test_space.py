"""A search space is checked when it is made, and its grid is what it says."""

import pytest

from diffrec.errors import UserError
from search_spaces import (
    SPACES,
    Choice,
    Condition,
    FractionOf,
    IntUniform,
    LogUniform,
    Objective,
    ScaledFrom,
    SearchSpace,
    Uniform,
    get_space,
)
from search_spaces.objectives import LESS_IS_BETTER, METRICS

RATE = {"training.learning_rate": Choice(1e-3, 1e-4)}


def space(**changes):
    """A small valid space, with changes."""
    fields = {"name": "tiny", "question": "?", "variant": "DiffRec", "domains": RATE, **changes}
    return SearchSpace(**fields)


def test_clustering_ablation_takes_one_cluster_once():
    cells = get_space("clustering_ablation").cells()
    assert len(cells) == 17
    assert cells.count({"autoencoder.num_clusters": 1}) == 1


def test_grid_runs_every_cell_of_the_first_seed_first():
    points = get_space("clustering_ablation").grid_points([7, 8])
    assert [seed for _, seed in points] == [7] * 17 + [8] * 17
    assert points[0][0] == points[17][0]


def test_a_parameter_without_meaning_is_none_in_the_configuration():
    config = get_space("clustering_ablation").resolve(
        {"autoencoder.num_clusters": 1}, "embedded", seed=7
    )
    assert config.autoencoder.clustering is None
    assert config.seed == 7


def test_a_variant_may_be_searched_and_parts_it_lacks_stay_untouched():
    both = space(
        variant=None,
        domains={"variant": Choice("DiffRec", "L-DiffRec"), "autoencoder.latent_dim": Choice(32)},
        conditions={"autoencoder.latent_dim": Condition("variant", ("L-DiffRec",))},
    )
    assert len(both.cells()) == 2
    assert both.resolve({"variant": "DiffRec"}, "embedded").autoencoder is None


def test_relative_domains_keep_their_constraint_at_every_corner():
    noise = space(
        domains={
            "diffusion.num_inference_noise_steps": FractionOf("diffusion.num_steps"),
            "diffusion.num_steps": IntUniform(1, 100, log=True),
            "diffusion.noise_max": ScaledFrom("diffusion.noise_min", LogUniform(1, 50)),
            "diffusion.noise_min": LogUniform(1e-4, 1e-2),
        },
        strategy="tpe",
        trials=5,
    )
    assert noise.ordered_paths().index("diffusion.num_steps") == 0
    for point in noise.corner_points(100):
        assert point["diffusion.noise_min"] <= point["diffusion.noise_max"]
        assert point["diffusion.num_inference_noise_steps"] <= point["diffusion.num_steps"]


def test_every_shipped_space_is_sane():
    for name, shipped in SPACES.items():
        assert shipped.name == name
        assert shipped.question.endswith("?")
        assert shipped.pruner == "none" or shipped.strategy != "grid"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"domains": {"trainin.learning_rate": Choice(1.0)}}, "did you mean 'training.learning"),
        ({"domains": {"diffusion.num_steps": Choice(1, 2.5)}}, "must be of type int"),
        ({"domains": {"diffusion.beta_schedule": Choice("linaer")}}, "did you mean 'linear'"),
        ({"domains": {"diffusion.num_steps": Choice(0, 5)}}, "cannot build"),
        ({"domains": {"seed": Choice(1, 2)}}, "replicates"),
        ({"domains": {}}, "searches nothing"),
        ({"variant": "Diffrec"}, "did you mean 'DiffRec'"),
        ({"variant": None}, "either `variant`"),
        ({"overrides": {"training.learning_rate": 1.0}}, "both searches and fixes"),
        ({"overrides": {"training.max_epoch": 1}}, "did you mean 'training.max_epochs'"),
        ({"domains": {"training.learning_rate": Uniform(0.1, 1)}}, "finite domains"),
        ({"strategy": "tpe"}, "trials >= 1"),
        ({"strategy": "bayes"}, "grid, random, tpe"),
        ({"replicates": 0}, "replicates >= 1"),
        ({"name": "Tiny space"}, "a-z, 0-9"),
        ({"control": {"training.learning_rate": 1.0}}, "one of its cells"),
        ({"conditions": {"seed": Condition("training.learning_rate", (1,))}}, "does not search"),
        (
            {"conditions": {"training.learning_rate": Condition("variant", ("DiffRec",))}},
            "depends on 'variant'",
        ),
        ({"domains": {"diffusion.noise_max": ScaledFrom("x", Uniform(1, 2))}}, "relative to 'x'"),
        (
            {
                "domains": {
                    "diffusion.noise_min": ScaledFrom("diffusion.noise_max", Choice(0.5)),
                    "diffusion.noise_max": ScaledFrom("diffusion.noise_min", Choice(2.0)),
                }
            },
            "circle",
        ),
    ],
)
def test_a_fault_in_a_space_is_one_sentence(changes, words):
    with pytest.raises(UserError, match=words) as caught:
        space(**changes)
    assert "\n" not in str(caught.value)


def test_an_objective_is_a_validation_metric():
    with pytest.raises(UserError, match="validation metric"):
        Objective("test/recall@20")


def test_a_metrics_own_direction_is_the_objectives():
    wanted = {"valid/gini@20": "minimize", "valid/arp@10": "minimize", "valid/mrr@50": "maximize"}
    for name, direction in wanted.items():
        objective = Objective(name)
        assert objective == Objective(name, direction)
        assert objective.is_better(*((0.1, 0.2) if direction == "minimize" else (0.2, 0.1)))
    assert {m for m in METRICS if Objective(m).direction == "minimize"} == {
        f"valid/{name}@{k}" for name in LESS_IS_BETTER for k in (10, 20)
    }


OWN = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(name="own", question="Mine?", variant="DiffRec",
                    domains={"training.patience": Choice(20, 50)})
"""


def test_a_space_may_come_from_a_file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    assert get_space(str(path)).name == "own"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SPACE = 1", "has a int"),
        ("x = 1", "has none"),
        ("def (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
    ],
)
def test_a_faulty_space_file_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "faulty.py"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        get_space(str(path))
    assert "\n" not in str(caught.value)


def test_an_unknown_space_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'clustering_ablation'"):
        get_space("clustering_ablatoin")
    with pytest.raises(UserError, match="No space file"):
        get_space("missing.py")
