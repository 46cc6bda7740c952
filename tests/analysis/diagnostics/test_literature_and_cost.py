"""Beside the papers, and what it cost."""

import math
from dataclasses import replace

import pytest

from analysis.comparisons.literature import SOURCES, compare_to_reported, reported
from analysis.diagnostics.cost import cost_table, kg_co2e, study_cost, trial_cost_table
from analysis.study.model import Study, Trial
from tune_runner.resources.power import (
    CPU_CORE_WATTS,
    GPU_WATTS,
    IDLE_CORE_WATTS,
    IDLE_GPU_WATTS,
    kilowatt_hours,
)
from tune_runner.resources.spending import Spent


def study(values, dataset="ml-1m_clean", variant="DiffRec", state="complete", space=None, **tags):
    trials = [
        Trial(i, state, {}, i, variant, {"test/recall@20": v, "best/valid/recall@20": v})
        for i, v in enumerate(values)
    ]
    return Study("s", {"dataset": dataset, **tags}, space or {}, tuple(trials))


def test_every_reported_row_names_a_known_source():
    assert len(reported()) > 60
    assert {row.source for row in reported()} == set(SOURCES)


def test_our_value_stands_beside_those_of_the_same_variant_and_dataset():
    rows = compare_to_reported(study([0.17, 0.171, 0.172]))
    assert [(r.reported.source, r.theirs) for r in rows] == [("paper", 0.1787)]
    assert rows[0].difference == pytest.approx(0.171 - 0.1787)
    assert [r.exceeds for r in rows] == [True]


def sources_beside(variant, **options):
    """Return the sources that the variant is compared with."""
    rows = compare_to_reported(study([0.17, 0.171, 0.172], variant=variant, **options))
    return {row.reported.source for row in rows}


def test_each_source_is_compared_with_its_own_configuration():
    for variant in ("DiffRec", "L-DiffRec"):
        assert sources_beside(variant) == {"paper"}
        assert sources_beside(variant, preset="report") == {"report"}
    # published by the reproduction study alone: under both names the same configuration
    for preset in ("published", "report"):
        for variant in ("T-DiffRec", "LT-DiffRec"):
            assert sources_beside(variant, preset=preset) == {"report", "report-ltw"}
            assert sources_beside(f"{variant}+LTW", preset=preset) == {"report-ltw"}
    assert sources_beside("T-DiffRec", dataset="yelp_clean") == {"paper"}
    both = sources_beside("T-DiffRec", dataset="yelp_clean", preset="report")
    assert both == {"report", "report-ltw"}
    assert sources_beside("DiffRec+learned_steps") == sources_beside("DiffRec+linear") == set()
    assert sources_beside("EASE", preset="report") == {"own-measurement"}


def test_a_changed_or_borrowed_configuration_is_compared_with_no_source():
    assert sources_beside("DiffRec", preset_of="yelp_clean") == set()
    rate = {"overrides": {"training.learning_rate": 3e-4}}
    assert sources_beside("DiffRec", space=rate) == set()
    same = {"overrides": {"training.learning_rate": 1e-3, "temporal.guard": False}}
    assert sources_beside("DiffRec", space=same) == {"paper"}
    longer = {"plan": {"overrides": {"training.patience": 200, "training.precision": "bf16"}}}
    assert sources_beside("DiffRec", space=longer) == set()
    precise = {"plan": {"overrides": {"training.precision": "bf16"}}}
    assert sources_beside("DiffRec", space=precise) == {"paper"}


def test_a_difference_inside_our_interval_or_with_one_seed_is_not_claimed():
    assert next(r.exceeds for r in compare_to_reported(study([0.17, 0.18, 0.185]))) is False
    assert [r.exceeds for r in compare_to_reported(study([0.17]))] == [None]
    assert compare_to_reported(study([0.17], dataset="embedded")) == []


def test_the_reports_own_estimate_comes_out_of_the_formula():
    assert kg_co2e(kilowatt_hours(1_000, GPU_WATTS)) == pytest.approx(173.6)


def test_a_cost_table_holds_the_users_own_study_only():
    table = cost_table(study_cost(study([0.1])))
    assert "report" not in f"{table.rows}{table.note}"


def timed(*rows, cpus=4.0, gpus=1.0):
    """A study of trials (start, end, cpus, gpus, joules or None), in seconds, on one node."""
    trials = []
    for i, (start, end, cores, share, joules) in enumerate(rows):
        metrics = {"cost/seconds": float(end - start), "cost/cpus": cores, "cost/gpus": share}
        if joules is not None:
            metrics["cost/joules"] = joules
        state = ("complete", "pruned", "failed")[i % 3]
        trials.append(Trial(i, state, {}, i, "DiffRec", metrics, start=start, end=end))
    environment = {"cluster": {"cpus": cpus, "gpus": gpus}}
    return Study("s", {}, {}, tuple(trials), environments=(environment,))


def test_shares_of_all_trials_and_the_idle_part_sum_to_the_nodes_total():
    ran = [(0, 3600, 2.0, 0, None), (0, 1800, 1.0, 0, None), (1800, 7200, 1, 0, None)]
    cost = study_cost(timed(*ran, gpus=0.0))
    assert [share.core_hours for share in cost.trials] == pytest.approx([2.0, 0.5, 1.5])
    assert cost.node_core_hours == pytest.approx(4 * 2.0)
    assert cost.core_hours + cost.idle_core_hours == pytest.approx(cost.node_core_hours)
    assert sum(s.kwh for s in cost.trials) + cost.idle_kwh == pytest.approx(
        (4.0 * CPU_CORE_WATTS + 4.0 * IDLE_CORE_WATTS) / 1000
    )


def test_a_gpu_that_no_trial_held_is_idle_and_costs_too():
    cost = study_cost(timed((0, 3600, 2, 0.5, None), (0, 1800, 1, 1, None), gpus=2.0))
    assert cost.node_gpu_hours == pytest.approx(2.0)
    assert cost.gpu_hours + cost.idle_gpu_hours == pytest.approx(2.0)
    assert cost.idle_gpu_hours == pytest.approx(1.0)
    watts = 1.5 * IDLE_CORE_WATTS + 1.0 * IDLE_GPU_WATTS
    assert cost.idle_kwh == pytest.approx(watts / 1000)
    assert "4.00 core hours and 2.00 GPU hours" in cost.sentence()
    rows = {
        row[0]: row for row in cost_table(study_cost(timed((0, 3600, 2, 0.5, None), gpus=2.0))).rows
    }
    assert (rows["idle"][3], rows["node"][3]) == ("1.500", "2.000")


def test_a_study_that_went_on_elsewhere_has_no_node_whose_total_were_known():
    ran = timed((0, 3600, 1, 0, None))
    environment, elsewhere = ran.environments[0], {"cluster": {"cpus": 64.0, "gpus": 0.0}}
    assert study_cost(replace(ran, environments=(environment, environment))).node_core_hours == 4.0
    assert math.isnan(
        study_cost(replace(ran, environments=(environment, elsewhere))).node_core_hours
    )


def test_a_pause_between_two_runs_of_a_study_is_nobodys():
    ran = timed((0, 3600, 1, 0, None), (86400, 90000, 1, 0, None), gpus=0.0)
    assert study_cost(ran).node_core_hours == pytest.approx(4 * 25)  # not recorded
    paused = replace(ran, sessions=((-10.0, 3600.0), (86390.0, 90005.0)))
    assert study_cost(paused).node_core_hours == pytest.approx(4 * (3600 + 3610) / 3600)
    killed = replace(ran, sessions=((-10.0, math.nan), (86390.0, 90005.0)))
    assert study_cost(killed).node_core_hours == pytest.approx(4 * 25)


def test_a_trial_that_was_run_again_is_no_result_but_has_cost():
    ran = timed((0, 3600, 1, 0, None), (0, 1800, 1, 0, None), gpus=0.0)
    rerun = replace(ran, trials=ran.trials[:1], superseded=ran.trials[1:])
    assert study_cost(rerun).core_hours == study_cost(ran).core_hours == 1.5


def test_what_a_trial_held_is_as_it_told_whatever_it_held_at_its_end():
    (one,) = timed((0, 3600, 8, 1, None)).trials
    metrics = {**one.metrics, "cost/core_seconds": 1800.0, "cost/gpu_seconds": 360.0}
    (share,) = study_cost(Study("s", {}, {}, (replace(one, metrics=metrics),))).trials
    assert (share.core_hours, share.gpu_hours) == (0.5, 0.1)


def test_each_trial_has_its_own_row_of_cost_and_the_rows_sum_to_the_study():
    ran = timed((0, 3600, 2.0, 0, None), (0, 1800, 1.0, 0, None), (1800, 7200, 1, 1, 3.6e6))
    cost = study_cost(ran)
    sheet = trial_cost_table(ran, cost)
    assert [row[0] for row in sheet.rows] == [str(trial.number) for trial in ran.trials]
    kwh, kg = (sheet.head.index(name) for name in ("kWh", "kg CO2e"))
    assert sum(float(row[kwh]) for row in sheet.rows) == pytest.approx(cost.kwh)
    assert sum(float(row[kg]) for row in sheet.rows) == pytest.approx(kg_co2e(cost.kwh))
    assert [row[-1] for row in sheet.rows] == ["model", "model", "measured"]


def test_a_pruned_or_failed_trial_costs_what_it_held():
    shares = study_cost(timed(*[(0, 60, 1, 0.5, None)] * 3)).trials
    assert len({(share.kwh, share.gpu_hours) for share in shares}) == 1
    assert {share.state for share in shares} == {"complete", "pruned", "failed"}


def test_measured_energy_replaces_the_model():
    measured = study_cost(timed((0, 3600, 1, 1, 3.6e6)))
    assert measured.kwh == pytest.approx(1.0)
    assert "as the machine measured it" in measured.sentence()
    partly = study_cost(timed((0, 3600, 1, 1, 3.6e6), (0, 3600, 1, 1, None)))
    assert (
        "as the machine measured it of 1 trials, of the others at an assumed" in partly.sentence()
    )


def test_a_node_smaller_than_what_was_held_is_not_called_the_total():
    cost = study_cost(timed((0, 60, 3, 0, None), (0, 60, 3, 0, None)))
    assert math.isnan(cost.node_core_hours)
    assert "idle part is not counted" in cost.sentence()


def test_what_the_drivers_counted_of_the_nodes_is_in_the_table_with_its_price():
    ran = timed((0, 3600, 1, 0, None), gpus=0.0)
    plain = cost_table(study_cost(ran))
    assert "runs of the command" not in plain.note
    spent = Spent({"head": 3600.0, "worker": 7200.0}, 7200.0, 6480.0, kwh=0.5, sessions=2)
    counted = cost_table(study_cost(replace(ran, spent=spent.metrics())))
    assert counted.rows[-1][:2] == ("nodes, all runs", "3.000")
    assert counted.rows[-1][4] == "0.5000"
    assert "3 node-hours; trials held 90% of those that had room" in counted.note
    assert "price" not in counted.head
    paid = replace(
        ran, spent=replace(spent, cost=1.25).metrics(), tags={"price": "worker=0.5,0.25"}
    )
    table = cost_table(study_cost(paid))
    assert table.head[-1] == "price"
    assert [row[-1] for row in table.rows][-2:] == ["–", "1.25"]
    assert "They cost 1.25, at a price of worker=0.5,0.25." in table.note
