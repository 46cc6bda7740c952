"""A thousand simulated studies, with known effects and with none, through the code of the report.

Noise is what a real study has: a seed moves all cells alike (its shuffling, its first weights), and
each trial has a part of its own.
"""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from analysis.comparisons.ablation import against_control, main_effects
from analysis.comparisons.confirmation import confirmation, confirmation_sentence
from analysis.comparisons.factor_interactions import interactions
from analysis.comparisons.statistics import BOOTSTRAP_SEEDS, bootstrap
from analysis.comparisons.trends import trend_sentence, trends
from analysis.report.conclusions import sentences
from analysis.results import analyse
from analysis.study.model import Study, Trial

METRIC = "test/recall@20"
STUDIES = 1_000
FAMILIES = (against_control, main_effects, interactions, trends)

METHOD, SLOPE, JOINT = 0.003, -0.001, 0.004
"""Planted: of `ward` over `kmeans`, of each cluster more, of `ward` with 4 clusters beyond both."""


def tolerance(rate, n, sigmas=3.0):
    """How far a rate measured n times may lie from the true one."""
    return sigmas * math.sqrt(rate * (1 - rate) / n)


def planted(rng, scale, seeds=4):
    """A study of two methods and counts 2 to 4, its effects times `scale`."""
    trials = []
    for seed in range(seeds):
        shared = 0.16 + rng.normal(0, 0.003)
        for method in ("kmeans", "ward"):
            for count in (2, 3, 4):
                effect = METHOD * (method == "ward") + SLOPE * count
                effect += JOINT * (method == "ward" and count == 4)
                value = shared + scale * effect + rng.normal(0, 0.001)
                params = {"autoencoder.clustering": method, "autoencoder.num_clusters": count}
                metrics = {METRIC: value}
                trials.append(Trial(len(trials), "complete", params, seed, "L", metrics))
    control = {"autoencoder.clustering": "kmeans", "autoencoder.num_clusters": 2}
    return Study("planted", {}, {"control": control}, tuple(trials))


@cache
def simulated(scale):
    """The comparisons of every family, study by study."""
    rng = np.random.default_rng(7)
    studies = [planted(rng, scale) for _ in range(STUDIES)]
    return {family: [family(study, METRIC) for study in studies] for family in FAMILIES}


def truth(comparison):
    """The planted difference that a comparison estimates."""
    label = comparison.label
    if comparison.factor == "clusters":  # ward's slope is raised by the joint effect at its end
        return SLOPE + 0.5 * JOINT / 2
    if comparison.factor == "clustering":
        return METHOD + JOINT / 3
    if comparison.factor == "num_clusters":
        return {"3 clusters": SLOPE, "4 clusters": 2 * SLOPE + JOINT / 2}[label]
    if " with " in label:
        return JOINT if "4" in label else 0.0
    method, count = label.split("·")
    both = JOINT * (method == "ward" and count == "4")
    return METHOD * (method == "ward") + SLOPE * (int(count) - 2) + both


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_studies_without_an_effect_claim_one_no_more_often_than_said(family):
    claims = [
        any(c.verdict in ("better", "worse") for c in comparisons)
        for comparisons in simulated(0.0)[family]
    ]
    assert np.mean(claims) <= 0.05 + tolerance(0.05, STUDIES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_intervals_of_planted_effects_cover_them_as_often_as_they_say(family):
    runs = simulated(1.0)[family]
    assert len({len(comparisons) for comparisons in runs}) == 1
    for i in range(len(runs[0])):
        hits = [
            comparisons[i].estimate.low <= truth(comparisons[i]) <= comparisons[i].estimate.high
            for comparisons in runs
        ]
        assert np.mean(hits) == pytest.approx(0.95, abs=tolerance(0.95, STUDIES, 4))
        means = [comparisons[i].estimate.mean for comparisons in runs]
        error = np.std(means) / math.sqrt(STUDIES)
        assert np.mean(means) == pytest.approx(truth(runs[0][i]), abs=4 * error)


def test_a_planted_slope_and_a_planted_interaction_are_found():
    rng = np.random.default_rng(1)
    joint = [interactions(planted(rng, 5.0), METRIC)[1].verdict for _ in range(100)]
    assert np.mean([verdict == "better" for verdict in joint]) > 0.9
    only_slope = planted(rng, 0.0)
    tilted = tuple(
        Trial(
            t.number,
            t.state,
            t.params,
            t.seed,
            t.variant,
            {METRIC: t.metrics[METRIC] - 0.02 * t.params["autoencoder.num_clusters"]},
        )
        for t in only_slope.trials
    )
    (slope,) = trends(Study("s", {}, only_slope.space, tilted), METRIC)
    assert slope.estimate.mean == pytest.approx(-0.02, abs=0.002)
    assert trend_sentence(slope, "R@20").startswith("More clusters is worse: -0.0")
    assert "2 to 4" in trend_sentence(slope, "R@20")


def test_a_slope_is_of_all_groups_by_how_much_each_says():
    """One group spans 40 units, the other 2: noise on the short one must not drown the long one."""
    rng, num_found = np.random.default_rng(2), 0
    for _ in range(100):
        trials = []
        for seed in range(3):
            for steps, noises in ((2, (0, 1, 2)), (50, (0, 10, 40))):
                for noise in noises:
                    value = 0.1 - 2e-4 * noise + rng.normal(0, 0.001)
                    params = {"steps": steps, "noise": noise}
                    trials.append(
                        Trial(len(trials), "complete", params, seed, "L", {METRIC: value})
                    )
        slopes = trends(Study("s", {"sampler": "grid"}, {}, tuple(trials)), METRIC)
        (slope,) = [one for one in slopes if one.factor == "noise"]
        num_found += slope.verdict == "worse"
    assert num_found > 90


def test_one_cluster_has_no_method_and_belongs_to_the_slope_of_each():
    trials = []
    for seed, shared in enumerate((0.0, 0.01, 0.03)):
        for count, method in ((1, None), (2, "a"), (3, "a"), (2, "b"), (3, "b")):
            params = {"num_clusters": count} | ({"clustering": method} if method else {})
            value = shared + 0.1 - 0.01 * count
            trials.append(Trial(len(trials), "complete", params, seed, "L", {METRIC: value}))
    (slope,) = trends(Study("s", {}, {}, tuple(trials)), METRIC)
    assert slope.label == "clusters, 1 to 3"
    assert slope.estimate.mean == pytest.approx(-0.01)


def test_bootstrap_covers_where_it_is_offered_and_is_not_offered_below():
    rng = np.random.default_rng(5)
    for n in (BOOTSTRAP_SEEDS, 10):
        intervals = [bootstrap(rng.normal(0.002, 0.001, n)) for _ in range(STUDIES)]
        covered = np.mean([low <= 0.002 <= high for low, high in intervals])
        assert covered >= 0.95 - tolerance(0.95, STUDIES, 4)
    assert all(map(math.isnan, bootstrap([0.1] * (BOOTSTRAP_SEEDS - 1))))


def test_a_winner_without_a_result_on_fresh_seeds_is_not_called_confirmed():
    rng = np.random.default_rng(4)
    searched_study = searched(rng, 0.03)
    best = dict(searched_study.ranked()[0].params)
    of_others = [t for t in searched_study.confirmation_trials if t.params != best]
    partly = replace(searched_study, confirmation_trials=tuple(of_others))
    assert confirmation(partly, METRIC) is None
    assert "nothing is confirmed" in confirmation_sentence(partly, None, "R@20")
    assert "it is a candidate until fresh seeds confirm it" in sentences(analyse(partly))[1]
    assert "it is a candidate" not in sentences(analyse(searched_study))[1]


def test_how_often_all_families_together_are_wrong_is_said():
    claims = [
        sentence
        for sentence in sentences(analyse(planted_results()))
        if "families of tests" in sentence
    ]
    assert "These are 4 families of tests by seed" in claims[0]
    assert "up to 20% would show one somewhere" in claims[0]


def planted_results():
    """A planted study whose trials have a validation value, too."""
    study = planted(np.random.default_rng(1), 0.0)
    key = "best/valid/recall@20"
    trials = (replace(t, metrics={**t.metrics, key: t.metrics[METRIC]}) for t in study.trials)
    return replace(study, trials=tuple(trials))


def searched(rng, better, seeds=5):
    """A search of 20 points, all alike but for the first, and two run again on fresh seeds."""
    trials = []
    for number in range(20):
        value = better * (number == 0) + rng.normal(0.1, 0.002)
        metrics = {METRIC: value, "best/valid/recall@20": value}
        trials.append(Trial(number, "complete", {"rate": float(number)}, 1, "D", metrics))
    ranked = sorted(trials, key=lambda t: -t.metrics[METRIC])
    fresh = []
    for trial in ranked[:2]:
        rate = trial.params["rate"]
        for seed in range(100, 100 + seeds):
            value = better * (rate == 0) + rng.normal(0.1, 0.002)
            metrics = {METRIC: value, "best/valid/recall@20": value}
            params, number = dict(trial.params), len(trials) + len(fresh)
            fresh.append(Trial(number, "complete", params, seed, "D", metrics, role="confirm"))
    return Study("s", {"sampler": "tpe"}, {}, tuple(trials), confirmation_trials=tuple(fresh))


def test_the_luckiest_of_equals_is_seldom_confirmed_and_a_better_one_is():
    rng = np.random.default_rng(3)
    lucky = [confirmation(searched(rng, 0.0), METRIC).comparison.verdict for _ in range(300)]
    assert np.mean([v != "within noise" for v in lucky]) <= 0.05 + tolerance(0.05, 300)
    better = searched(rng, 0.03)
    result = confirmation(better, METRIC)
    assert dict(result.winner.params) == {"rate": 0.0}
    assert result.comparison.verdict == "better"
    assert "the winner is confirmed" in confirmation_sentence(better, result, "R@20")
