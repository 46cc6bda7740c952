"""User by user: what other people would be served, beside what other training runs would give."""

import json

import numpy as np
import pytest

from analysis.comparisons.ablation import against_control
from analysis.comparisons.per_user import by_user, users_sentence, users_table
from analysis.study.mlflow_reader import connect, read_study, with_users
from analysis.study.model import Study, Trial

METRIC = "test/recall@20"


def study(*, gain, luck=(0.0, 0.0, 0.0), users=2000, seeds=3):
    """A control and one cell, better for every user by `gain`, and by a seed's `luck` on top."""
    rng = np.random.default_rng(5)
    trials = []
    for seed in range(1, seeds + 1):
        base = rng.normal(0.2, 0.1, users)
        ours = base + rng.normal(gain + luck[seed - 1], 0.05, users)
        for number, (name, values) in enumerate((("none", base), ("linear", ours))):
            trials.append(
                Trial(
                    2 * seed + number,
                    "complete",
                    {"temporal.weighting": name},
                    seed,
                    "DiffRec",
                    {METRIC: float(values.mean())},
                    users=dict(enumerate(values.tolist())),
                )
            )
    return Study("s", {}, {"control": {"temporal.weighting": "none"}}, tuple(trials))


def test_a_planted_gain_is_found_and_its_interval_holds_it():
    (comparison,) = by_user(study(gain=0.01))
    assert comparison.verdict == "better"
    assert comparison.estimate.n == 2000
    assert comparison.estimate.low < 0.01 < comparison.estimate.high
    low, high = comparison.bootstrapped  # of users there are enough, at three seeds too
    assert low < 0.01 < high
    assert high - low == pytest.approx(comparison.estimate.high - comparison.estimate.low, rel=0.1)
    sheet = users_table(by_user(study(gain=0.01)))
    assert sheet.head[-2:] == ("users", "verdict")
    assert sheet.rows[0][-2:] == ("2000", "better")


def test_without_a_gain_nothing_is_claimed_more_often_than_said():
    """400 studies without an effect, an error rate of 5 %: 30 are three deviations above it."""
    rng = np.random.default_rng(8)
    num_claims = 0
    for _ in range(400):
        values = rng.normal(0.2, 0.1, (2, 50))
        trials = tuple(
            Trial(i, "complete", {"x": i}, 1, "DiffRec", {}, users=dict(enumerate(row.tolist())))
            for i, row in enumerate(values)
        )
        (comparison,) = by_user(Study("s", {}, {"control": {"x": 0}}, trials))
        num_claims += comparison.verdict != "within noise"
    assert num_claims <= 30


def test_a_difference_of_these_models_that_the_seeds_do_not_bear_out_is_said():
    def users_said(one):
        return users_sentence(by_user(one), against_control(one, METRIC))

    sentence = users_said(study(gain=0.01, luck=(0.08, -0.05, 0.03)))
    assert "1 of 1 cells differ from the control beyond chance" in sentence
    assert "for linear the seeds do not show it" in sentence
    assert users_said(study(gain=0.01)).endswith("and the seeds agree.")


def test_only_users_and_seeds_that_both_have_are_paired():
    full_study = study(gain=0.01)
    trials = [
        t for t in full_study.trials if (t.seed, t.params["temporal.weighting"]) != (3, "none")
    ]
    first = trials[0]
    del first.users[0]
    (comparison,) = by_user(Study("s", {}, full_study.space, tuple(trials)))
    assert comparison.estimate.n == 1999
    assert by_user(Study("s", {}, {}, tuple(trials))) == []
    assert users_sentence([], []) == ""


def test_users_come_back_from_the_record(store):
    parent = store.study()
    record = {"metric": "recall@20", "users": [3, 8], "values": [0.5, 0.25]}
    for number, method in enumerate(("kmeans", "gaussian_mixture")):
        params = store.params(method, 2, 1)
        run = store.trial(parent, number, params, best=0.1, test=0.2)
        store.client.log_text(run, json.dumps(record), "test_users.json")
    client = connect(store.uri)
    study = with_users(client, read_study(client, "clusters"))
    assert [trial.users for trial in study.trials] == [{3: 0.5, 8: 0.25}] * 2
    (same,) = by_user(study)
    assert (same.estimate.n, same.estimate.mean, same.verdict) == (2, 0.0, "the same")
