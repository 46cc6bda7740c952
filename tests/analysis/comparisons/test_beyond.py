"""Trade-offs in the report: metrics beyond accuracy, fronts, hypervolume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from analysis.comparisons.beyond import beyond_control
from analysis.comparisons.hypervolume import hypervolume
from analysis.figures import draw_all, draw_one
from analysis.report.content import report_content
from analysis.results import analyse
from analysis.study.model import Study, Trial

RATE = "training.learning_rate"
COVERAGE, GINI = "valid/coverage@20", "valid/gini@20"


def planted_study(space=None, sampled=False):
    """Rates 1 to 4: recall rises, coverage falls; rate 5 is worse in both. Three seeds."""
    trials = []
    for seed in (1, 2, 3):
        for rate in (1, 2, 3, 4, 5):
            noise = float(np.random.default_rng([rate, seed]).normal(0, 5e-4))
            recall = (0.1 * rate if rate < 5 else 0.15) + noise
            coverage = (0.9 - 0.1 * rate if rate < 5 else 0.4) + noise
            metrics = {
                "test/recall@20": recall + 0.01,
                "test/coverage@20": coverage,
                "test/gini@20": 1 - coverage,
                "test/arp@20": 1000 * (1 - coverage),
                "best/valid/recall@20": recall,
                "best/valid/coverage@20": coverage,
            }
            trials.append(
                Trial(len(trials), "complete", {RATE: rate}, seed, "DiffRec", metrics, end=seed)
            )
    space = {"control": {RATE: 2}, **(space or {})}
    tags = {"question": "What does coverage cost?"} | ({"sampler": "tpe"} if sampled else {})
    tags |= {"objective": space["objective"]["name"]} if "objective" in space else {}
    return Study("planted", tags, space, tuple(trials))


BOTH = {
    "objectives": [
        {"name": "valid/recall@20", "direction": "maximize"},
        {"name": COVERAGE, "direction": "maximize"},
    ]
}
WITHIN = {
    "objective": {"name": COVERAGE, "direction": "maximize"},
    "constraint": "valid/recall@20 within 30 % of the best",
}


def test_less_gini_and_arp_is_better():
    verdicts = {(c.cell.params[0][1], c.metric): c.verdict for c in beyond_control(planted_study())}
    assert verdicts[1, "test/coverage@20"] == "better"
    assert verdicts[1, "test/gini@20"] == "better"
    assert verdicts[1, "test/arp@20"] == "better"
    assert verdicts[4, "test/coverage@20"] == verdicts[4, "test/gini@20"] == "worse"


def test_the_table_stands_beside_accuracy_with_what_was_recorded():
    tables = {table.name: table for table in report_content(analyse(planted_study())).tables}
    table = tables["beyond_accuracy"]
    assert table.head == ("cell", "R@20", "coverage@20", "gini@20", "arp@20")
    assert len(table.rows) == 5
    mean, difference, verdict = table.rows[0][2].split("\n")
    assert mean.startswith(("0.8", "0.79"))
    assert difference.startswith(("+0.1", "+0.09"))
    assert verdict == "better"
    assert "front" not in tables


def test_a_study_without_such_metrics_has_no_table():
    study = planted_study()
    bare = [
        Trial(t.number, t.state, t.params, t.seed, t.variant, {"best/valid/recall@20": 0.1})
        for t in study.trials
    ]
    names = {t.name for t in report_content(analyse(Study("s", {}, {}, tuple(bare)))).tables}
    assert "beyond_accuracy" not in names


def test_a_planted_front_is_reported_with_intervals_over_seeds():
    results = analyse(planted_study(BOTH))
    front = results.front
    assert [dict(point.cell.params)[RATE] for point in front.points] == [4, 3, 2, 1]
    assert all(value.n == 3 and value.is_known for p in front.points for value in p.values)
    # a staircase of four points in a box that is scaled to one
    assert front.volume.n == 3
    assert front.volume.low < front.volume.mean < front.volume.high
    assert 0.5 < front.volume.mean < 0.8
    content = report_content(results)
    assert any("4 points are on the Pareto front" in text for text in content.sentences)
    assert any("hypervolume" in text for text in content.sentences)
    table = next(table for table in content.tables if table.name == "front")
    assert [row[0] for row in table.rows] == [f"learning_rate {rate}" for rate in (4, 3, 2, 1)]
    assert "to" in table.rows[0][1]


def test_a_constraint_leaves_out_the_right_points():
    results = analyse(planted_study(WITHIN, sampled=True))
    front = results.front
    # recall 0.4 is the best, so 0.28 is the bound: rates 3 and 4, of which 3 covers more
    assert (front.num_feasible, front.num_results) == (2, 5)
    assert [dict(point.cell.params)[RATE] for point in front.points] == [3]
    ranked = [dict(cell.params)[RATE] for cell in results.study.ranked()]
    assert ranked == [3, 4, 1, 2, 5]
    texts = report_content(results).sentences
    assert any(
        text.startswith("2 of 5 points with a result have a valid/recall@20") for text in texts
    )


def test_the_figures_are_drawn():
    assert "accuracy_and_coverage" in draw_all(analyse(planted_study()))
    for space in (BOTH, WITHIN):
        figure = draw_one("front", analyse(planted_study(space)))
        assert len(figure.axes) == 1


number = st.integers(0, 8).map(lambda n: n / 8)


@given(st.integers(2, 3), st.data())
def test_the_hypervolume_is_optunas(dimensions, data):
    points = data.draw(
        st.lists(st.tuples(*[number] * dimensions), min_size=1, max_size=7, unique=True)
    )
    reference = [1.0] * dimensions
    expected = compute_hypervolume(np.array(points), np.array(reference))
    assert hypervolume(points, reference) == pytest.approx(expected, abs=1e-12)


def test_the_hypervolume_of_a_staircase():
    assert hypervolume([(0.0, 0.5), (0.5, 0.0), (0.5, 0.5)], (1.0, 1.0)) == 0.75
    assert hypervolume([(0.0, 1.0), (2.0, 0.0)], (1.0, 1.0)) == 0.0
    assert hypervolume([], (1.0, 1.0)) == 0.0
