"""What people read of a trial before anything else."""

import pytest

from tune_runner.schema import trial_name


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"clustering": "kmeans", "clusters": 3}, "0007 kmeans·3·seed2"),
        ({"rate": 0.00012345, "dims": (200, 600)}, "0007 0.000123·200x600·seed2"),
        (
            {"variant": "T-DiffRec", "schedule": "binomial", "a": 1, "b": 0.5, "c": 2},
            "0007 T-DiffRec·binomial·3 numbers·seed2",
        ),
    ],
)
def test_a_trial_is_called_by_what_is_searched_and_its_seed(params, name):
    assert trial_name(7, params, 2) == name
