"""Recommenders from outside: found by name or file, and refused in one sentence where broken."""

import pickle
import subprocess
import sys

import pytest

from diffrec.config import external
from diffrec.config.families import parse_config
from diffrec.config.presets import preset
from diffrec.errors import UserError
from diffrec.models.registry import recommender_class
from search_spaces import get_space

GOOD = """
from dataclasses import dataclass
from typing import ClassVar, Literal
from diffrec.config import ExternalConfig, TrainingConfig
from diffrec.models.base import Recommender

@dataclass(frozen=True, kw_only=True, slots=True)
class {name}Config(ExternalConfig):
    name: ClassVar[str] = "{name}"
    model: ClassVar[str] = "Model"
    dim: int = 8
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1, 2)
    rate: float | None = None
    training: TrainingConfig = TrainingConfig(max_epochs=40)

class Model(Recommender):
    def training_loss(self, x_0, target, epoch): return x_0.sum()
    def scores(self, history, users): return None
"""
SPACE = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(name="own", question="Which size?", variant={name}Config,
    domains={{"dim": Choice(4, 8), "training.learning_rate": Choice(1e-3)}}, replicates=2)
"""


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def space_file(tmp_path, name):
    return write(tmp_path, f"{name.lower()}.py", GOOD.format(name=name) + SPACE.format(name=name))


def test_a_space_file_names_a_recommender_by_its_class(tmp_path):
    space = get_space(space_file(tmp_path, "Own"))
    assert space.to_dict()["variant"] == "Own"
    config = space.resolve({"dim": 4}, "embedded", seed=3)
    assert (config.variant, config.dim, config.seed) == ("Own", 4, 3)
    assert config.training.max_epochs == 40
    assert recommender_class(config).__name__ == "Model"
    with pytest.raises(UserError, match="did you mean 'dim'"):
        config.replace_values({"dimm": 3})


def test_a_configuration_of_a_file_is_rebuilt_in_another_process(tmp_path):
    config = get_space(space_file(tmp_path, "Sent")).resolve({"dim": 4}, "embedded")
    (tmp_path / "sent").write_bytes(pickle.dumps(config))
    read = "import pickle, sys; c = pickle.load(open(sys.argv[1], 'rb')); print(c.variant, c.dim)"
    said = subprocess.run(
        [sys.executable, "-c", read, str(tmp_path / "sent")], capture_output=True, text=True
    )
    assert said.stdout == "Sent 4\n", said.stderr


def test_a_file_is_run_on_the_word_of_our_own_driver_alone(tmp_path):
    write(tmp_path, "untold.py", GOOD.format(name="Untold"))
    values = {"family": f"{tmp_path}:untold:UntoldConfig", "dim": 3}
    with pytest.raises(UserError, match="not run on a checkpoint's word"):
        parse_config(values)
    assert "untold" not in sys.modules
    assert parse_config(values, trusted=True).dim == 3
    with pytest.raises(UserError, match="cannot be loaded"):
        parse_config(values | {"family": f"{tmp_path}:gone:GoneConfig"}, trusted=True)


def test_an_installed_one_is_found_by_name_and_loads_no_torch(outside_packages):
    code = (
        "import sys; from search_spaces import SearchSpace, Choice; "
        "s = SearchSpace(name='x', question='q?', variant='GiffCF', domains={'dim': Choice(8)}); "
        "c = s.resolve({'dim': 8}, 'embedded'); assert 'torch' not in sys.modules; "
        "print(c.to_dict()['family'], c.dim, c.rank)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{outside_packages}:."},
    )
    assert said.stdout == "GiffCF 8 32\n", said.stderr


def test_an_unknown_variant_is_refused_with_the_nearest(outside_packages, monkeypatch):
    monkeypatch.syspath_prepend(str(outside_packages))
    with pytest.raises(UserError, match=r"No variant named 'GifCF' \(did you mean 'GiffCF'\?\)"):
        preset("GifCF", "embedded")


CONFIG = GOOD.format(name="Bad")
BROKEN = {
    "no subclass": (CONFIG.replace("(ExternalConfig)", ""), "subclass of diffrec.config.Ext"),
    "no dataclass": (
        CONFIG.replace("@dataclass(frozen=True, kw_only=True, slots=True)\n", ""),
        "must be a frozen dataclass",
    ),
    "not frozen": (CONFIG.replace("frozen=True, ", ""), "cannot be run .*non-frozen"),
    "no name": (CONFIG.replace('name: ClassVar[str] = "Bad"', "pass"), "needs `name: ClassVar"),
    "no model": (CONFIG.replace('model: ClassVar[str] = "Model"', ""), "needs `model: ClassVar"),
    "a field without default": (CONFIG.replace("dim: int = 8", "dim: int"), "`dim` has none"),
    "a field of a strange type": (CONFIG.replace("dim: int = 8", "dim: set = None"), "`dim` must"),
    "a default of another type": (CONFIG.replace("dim: int = 8", "dim: int = 'x'"), "type int"),
    "an unknown type": (CONFIG.replace("dim: int = 8", "dim: 'Nix' = 8"), "'Nix' is not defined"),
    "another training": (
        CONFIG.replace(
            "training: TrainingConfig = TrainingConfig(max_epochs=40)", "training: int = 3"
        ),
        "`training` must be a TrainingConfig",
    ),
    "a bad preset": (
        CONFIG.replace("    dim: int", "    presets: ClassVar = {'x': {'dmi': 3}}\n    dim: int"),
        "no field 'dmi'",
    ),
    "an import that fails": ("import nonsense_of_nobody\n" + CONFIG, "No module named 'nonsense"),
    "a file that ends": ("raise SystemExit(3)\n" + CONFIG, "SystemExit: 3"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_configuration_is_one_sentence(fault, tmp_path):
    text, rule = BROKEN[fault]
    path = write(tmp_path, f"{fault.replace(' ', '_')}.py", text + SPACE.format(name="Bad"))
    with pytest.raises(UserError, match=rule) as caught:
        get_space(path)
    assert "\n" not in str(caught.value)


MODELS = {
    "no such class": (CONFIG.replace('= "Model"', '= "Nothing"'), "cannot be imported"),
    "no such module": (CONFIG.replace('= "Model"', '= "nix_da:Model"'), "No module named 'nix_da'"),
    "no recommender": (CONFIG.replace("(Recommender)", ""), "subclass of diffrec.models.base"),
    "no loss": (CONFIG.replace("training_loss", "loss"), r"a method `training_loss` \(or `fit`\)"),
    "no scores": (CONFIG.replace("scores", "score"), "a method `scores`"),
    "solved and trained": (
        CONFIG.replace("def training_loss(self, x_0, target, epoch)", "def fit(self, train)"),
        "needs no field `training`",
    ),
    "trained without how": (
        CONFIG.replace("    training: TrainingConfig = TrainingConfig(max_epochs=40)\n", ""),
        "needs a field `training",
    ),
}


@pytest.mark.parametrize("fault", MODELS)
def test_a_broken_model_is_one_sentence(fault, tmp_path):
    name = "M" + fault.replace(" ", "")
    text = MODELS[fault][0].replace("Bad", name)
    write(tmp_path, f"{name}.py", text)
    config = external.external_class(f"{tmp_path}:{name}:{name}Config", trusted=True)()
    with pytest.raises(UserError, match=MODELS[fault][1]) as caught:
        recommender_class(config)
    assert "\n" not in str(caught.value)


def test_two_recommenders_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f"twin_{folder}.py", GOOD.format(name="Twin"))
    external.external_class(f"{tmp_path}/a:twin_a:TwinConfig", trusted=True)
    with pytest.raises(UserError, match="Two recommenders are called 'Twin'"):
        external.external_class(f"{tmp_path}/b:twin_b:TwinConfig", trusted=True)


def test_a_class_of_a_function_is_refused():
    from dataclasses import dataclass
    from typing import ClassVar

    @dataclass(frozen=True, kw_only=True)
    class HereConfig(external.ExternalConfig):
        name: ClassVar[str] = "Here"
        model: ClassVar[str] = "Model"

    with pytest.raises(UserError, match=r"put it into a \.py file"):
        external.register(HereConfig)
