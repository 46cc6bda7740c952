"""Beside the papers, and what it cost."""

import pytest

from analysis.cost import KG_PER_KWH, REPORT_WATTS, Cost, study_cost
from analysis.literature import SOURCES, beside, reported
from analysis.study import Study, Trial


def study(values, dataset="ml-1m_clean", variant="DiffRec", state="complete"):
    trials = [
        Trial(i, state, {}, i, variant, {"test/recall@20": v, "cost/seconds": 1800.0})
        for i, v in enumerate(values)
    ]
    return Study("s", {"dataset": dataset}, {}, tuple(trials))


def test_every_reported_row_names_a_known_source():
    assert len(reported()) > 60
    assert {row.source for row in reported()} == set(SOURCES)


def test_our_value_stands_beside_those_of_the_same_variant_and_dataset():
    rows = beside(study([0.17, 0.171, 0.172]))
    assert [(r.reported.source, r.theirs) for r in rows] == [("paper", 0.1787), ("report", 0.16252)]
    assert rows[0].difference == pytest.approx(0.171 - 0.1787)
    assert [r.exceeds for r in rows] == [True, True]


def test_a_difference_inside_our_interval_or_with_one_seed_is_not_claimed():
    assert next(r.exceeds for r in beside(study([0.17, 0.18, 0.185]))) is False
    assert [r.exceeds for r in beside(study([0.17]))] == [None, None]
    assert beside(study([0.17], dataset="embedded")) == []


def test_the_reports_own_estimate_comes_out_of_the_formula():
    assert Cost(1_000 * 3600, REPORT_WATTS, KG_PER_KWH).kg_co2e == pytest.approx(173.6)


def test_trials_share_the_studys_cost_whatever_became_of_them():
    cost = study_cost(study([0.1, 0.2], state="pruned"), watts=100)
    assert (cost.hours, cost.kwh) == (1.0, 0.1)
    assert "0.100 kWh" in cost.sentence()
