"""Notes under the table of cells."""

import pytest

from analysis.report.summary import split_note
from analysis.study.model import Study, Trial


def study(variant, dataset="ml-1m_clean", protocol="published"):
    trial = Trial(0, "complete", {"variant": variant}, 1, variant, {"best/valid/recall@20": 0.1})
    return Study("s", {"dataset": dataset, "protocol": protocol}, {}, (trial,))


@pytest.mark.parametrize(
    "variant",
    [
        *("T-DiffRec", "LT-DiffRec", "T-DiffRec+LTW", "DiffRec+exponential", "F-DiffRec"),
        *("L-DiffRec+learned_recency", "LF-DiffRec", "RecencyEASE", "DirectedRidge"),
    ],
)
def test_a_gain_by_recency_says_on_which_split_it_stands(variant):
    assert "--protocol chronological" in split_note(study(variant))
    assert split_note(study(variant, protocol="chronological")) == ""
    assert split_note(study(variant, dataset="mine")) == ""


@pytest.mark.parametrize("variant", ["DiffRec", "L-DiffRec", "EASE", "ItemKNN", "Popularity"])
def test_what_weighs_nothing_by_time_says_nothing(variant):
    assert split_note(study(variant)) == ""
