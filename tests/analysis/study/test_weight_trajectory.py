"""Learned weights from a trial's artifact to the figures of them."""

import json

import pytest

from analysis import figures
from analysis.results import analyse
from analysis.study import mlflow_reader
from analysis.study.model import Study, Trial
from analysis.study.weight_trajectory import from_record


def record(weighting="learned_recency", rows=1, epochs=9):
    """W falls with age, faster as training goes on."""
    places = [2.0**k - 1 for k in range(6)] if weighting == "learned_recency" else range(10)
    weights = [
        [[(1 + p) ** (-0.1 * e * (1 + r / rows)) for p in places] for r in range(rows)]
        for e in range(epochs)
    ]
    name = "ages" if weighting == "learned_recency" else "slots"
    steps = list(range(rows)) if rows > 1 else None
    when = [5 * e for e in range(epochs)]
    return {
        "weighting": weighting,
        "epochs": when,
        "steps": steps,
        name: list(places),
        "weights": weights,
    }


def study(**options):
    trials = [
        Trial(
            i,
            "complete",
            {"variant": f"DiffRec+{options.get('weighting', 'learned_recency')}"},
            i,
            f"DiffRec+{options.get('weighting', 'learned_recency')}",
            {"best/valid/recall@20": 0.1 + i / 100},
            weights=from_record(record(**options)),
        )
        for i in range(2)
    ]
    return Study("s", {}, {}, tuple(trials))


def test_units_are_the_diffusion_steps_or_the_places_of_the_only_row():
    one, many = from_record(record()), from_record(record("learned_steps", rows=5))
    assert one.units[0].shape == (9, 6, 1)
    assert one.units[1:] == ("age in items", (0.0, 1.0, 3.0, 7.0, 15.0, 31.0))
    assert many.units[0].shape == (9, 5, 10)
    assert many.units[1:] == ("diffusion step", (0, 1, 2, 3, 4))
    assert from_record({}) is None


def test_weight_against_age_shows_early_late_and_static_curves():
    figure = figures.draw_one("weight_by_age", analyse(study()))
    (axes,) = figure.axes
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["learned, at the start", "learned, at the end"]
    assert [name.split(",")[0] for name in names[2:]] == ["exponential", "linear"]
    late = next(line for line in axes.lines if line.get_label() == "learned, at the end")
    assert late.get_ydata() == pytest.approx([(1 + a) ** -0.8 for a in (0, 1, 3, 7, 15, 31)])


def test_mphate_draws_a_line_for_each_row_and_time_as_colour():
    figure = figures.draw_one("mphate", analyse(study(weighting="learned_steps", rows=5)))
    panel, bar = figure.axes
    assert len(panel.lines) == 5
    assert bar.get_ylabel() == "training epoch"
    assert figures.draw_all(analyse(study(weighting="learned_steps", rows=5))).keys() >= {"mphate"}
    assert figures.FIGURES["weight_by_age"].draw(analyse(study(weighting="learned_steps"))) is None


def test_weights_are_read_from_the_trial_that_recorded_them(store):
    parent = store.study("w", space={"domains": {"variant": {}}})
    learned = {"variant": "DiffRec+learned_recency"}
    run = store.trial(parent, 0, {"seed": 1}, best=0.1, test=0.1, study="w", **learned)
    store.trial(parent, 1, {"seed": 1}, best=0.1, test=0.1, study="w", variant="DiffRec")
    store.client.log_text(run, json.dumps(record()), "weight_trajectory.json")
    client = mlflow_reader.connect(store.uri)
    first, second = mlflow_reader.with_weights(client, mlflow_reader.read_study(client, "w")).trials
    assert first.weights.values.shape == (9, 1, 6)
    assert second.weights is None
