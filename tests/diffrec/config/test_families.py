import pytest

from diffrec.config.baselines import EASEConfig, ItemKNNConfig, MultVAEConfig
from diffrec.config.families import parse_config
from diffrec.config.presets import VARIANTS, preset
from diffrec.config.presets_baselines import BASELINES
from diffrec.errors import UserError


@pytest.mark.parametrize("variant", [*VARIANTS, *BASELINES])
@pytest.mark.parametrize("dataset", ["ml-1m_clean", "embedded", "my_own"])
def test_every_preset_survives_the_round_trip_and_bears_its_name(variant, dataset):
    start = preset(variant, dataset)
    assert parse_config(start.config.to_dict()) == start.config
    assert start.config.variant == variant
    assert variant in start.source


def test_an_unknown_family_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"named 'eas' \(did you mean 'ease'\?\)"):
        parse_config({"family": "eas"})


def test_an_unknown_field_of_a_baseline_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'regularization'"):
        EASEConfig().replace_values({"regularisation": 3.0})


@pytest.mark.parametrize(
    ("cls", "values", "rule"),
    [
        (EASEConfig, {"regularization": 0.0}, "regularization > 0"),
        (EASEConfig, {"half_life": 0.0}, "half_life > 0"),
        (EASEConfig, {"seed": -1}, "seed >= 0"),
        (ItemKNNConfig, {"num_neighbours": 0}, "num_neighbours >= 1"),
        (ItemKNNConfig, {"shrinkage": -1.0}, "shrinkage >= 0"),
        (MultVAEConfig, {"latent_dim": 0}, "at least 1"),
        (MultVAEConfig, {"dropout": 1.0}, "dropout < 1"),
        (MultVAEConfig, {"kl_weight_max": -0.1}, "kl_weight_max >= 0"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_the_rule(cls, values, rule):
    with pytest.raises(UserError, match=rule):
        cls(**values)
