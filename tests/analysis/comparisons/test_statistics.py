"""What is promised holds on planted truth: coverage, error rates, verdicts."""

import math
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from analysis import figures
from analysis.comparisons.ablation import against_control, main_effects, verdict_sentence
from analysis.comparisons.statistics import detectable_difference, equivalence_p, holm
from analysis.report.conclusions import sentences
from analysis.report.content import tables
from analysis.results import analyse
from analysis.study.labels import signed
from analysis.study.model import Study, Trial
from diffrec.evaluation.paired import Estimate, estimates, student

METRIC = "test/recall@20"
CELLS = [(1, None)] + [(n, m) for n in (2, 3, 4, 5) for m in ("kmeans", "gmm", "ward", "random")]


def study_of(values, control=None):
    """A study whose trials have the given results, an array (cells, seeds)."""
    trials = []
    for i, (count, method) in enumerate(CELLS[: len(values)]):
        params = {"autoencoder.num_clusters": count}
        if method:
            params["autoencoder.clustering"] = method
        for seed, value in enumerate(values[i], start=1):
            metrics = {METRIC: float(value)}
            trials.append(Trial(len(trials), "complete", params, seed, "L-DiffRec", metrics))
    space = {
        "control": control or {"autoencoder.num_clusters": 2, "autoencoder.clustering": "kmeans"}
    }
    return Study("planted", {}, space, tuple(trials))


def null_studies(count, seeds, rng, cells=17):
    """Results without any effect of the cell: a seed moves all cells alike, then noise."""
    shared = rng.normal(0.16, 0.003, (count, 1, seeds))
    return shared + rng.normal(0, 0.001, (count, cells, seeds))


@pytest.mark.parametrize("seeds", [3, 4, 5])
def test_intervals_cover_as_often_as_they_say(seeds):
    rng = np.random.default_rng(seeds)
    differences = rng.normal(0.002, 0.001, (40_000, seeds))
    n = np.full(len(differences), float(seeds))
    low, high, _ = student(differences.mean(1), differences.std(1, ddof=1), n)
    covered = np.mean((low <= 0.002) & (high >= 0.002))
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 40_000))


def test_percentile_bootstrap_of_three_seeds_would_not_cover():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.002, 0.001, (2_000, 3))
    draws = differences[:, rng.integers(0, 3, (500, 3))].mean(-1)
    low, high = np.quantile(draws, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0.002) & (high >= 0.002)) < 0.85


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_thousand_studies_without_an_effect_claim_one_at_most_at_the_nominal_rate(seeds):
    values = null_studies(1_000, seeds, np.random.default_rng(10 + seeds))
    differences = np.delete(values, 1, axis=1) - values[:, 1:2]
    n = np.full(differences.shape[:2], float(seeds))
    *_, p = student(differences.mean(-1), differences.std(-1, ddof=1), n)
    claims = (holm(p) <= 0.05).any(-1)
    assert claims.mean() <= 0.05
    for i in (*np.flatnonzero(claims)[:5], *np.flatnonzero(~claims)[:5]):
        comparisons = [
            c.verdict != "within noise" for c in against_control(study_of(values[i]), METRIC)
        ]
        assert any(comparisons) == claims[i]


def test_a_planted_effect_is_found_and_the_rest_stays_within_noise():
    values = null_studies(1, 5, np.random.default_rng(7))[0]
    values[16] -= 0.05
    comparisons = {c.label: c for c in against_control(study_of(values), METRIC)}
    assert comparisons["5·random"].verdict == "worse"
    assert comparisons["5·random"].estimate.mean == pytest.approx(-0.05, abs=0.003)
    assert comparisons["5·random"].relative == pytest.approx(-0.05 / 0.16, abs=0.03)
    assert [c.verdict for label, c in comparisons.items() if label != "5·random"] == [
        "within noise"
    ] * 15
    assert "is worse than 2·kmeans" in verdict_sentence(comparisons["5·random"], "R@20")


def test_main_effect_pairs_cells_that_differ_in_nothing_else():
    values = null_studies(1, 3, np.random.default_rng(3))[0]
    values[[i for i, cell in enumerate(CELLS) if cell[1] == "random"]] -= 0.01
    values[[i for i, cell in enumerate(CELLS) if cell[0] == 5]] -= 0.02
    comparisons = {c.label: c for c in main_effects(study_of(values), METRIC)}
    assert comparisons["clustering random"].estimate.mean == pytest.approx(-0.01, abs=0.002)
    assert comparisons["5 clusters"].estimate.mean == pytest.approx(-0.02, abs=0.002)
    assert comparisons["clustering gmm"].estimate.mean == pytest.approx(0, abs=0.002)
    assert "1 cluster" not in comparisons  # nothing differs from it in one factor only


def test_one_seed_claims_nothing():
    comparisons = against_control(study_of(null_studies(1, 1, np.random.default_rng(1))[0]), METRIC)
    assert {c.verdict for c in comparisons} == {"unknown"}
    assert verdict_sentence(comparisons[0], "R@20") == ""


def test_only_seeds_of_both_cells_are_paired():
    values = null_studies(1, 3, np.random.default_rng(2), cells=3)[0]
    study = study_of(values)
    trials = [t for t in study.trials if not (t.seed == 2 and t.number >= 6)]
    comparisons = against_control(Study("s", {}, study.space, tuple(trials)), METRIC)
    assert [c.estimate.n for c in comparisons] == [3, 2]


def test_holm_is_the_step_down_of_the_book():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(holm([0.01, float("nan")])[1])
    assert holm([0.01, float("nan")])[0] == pytest.approx(0.01)


def test_an_empty_sample_has_no_estimate():
    empty, one, two = estimates([[], [0.1], [0.1, 0.3]])
    assert math.isnan(empty.mean)
    assert (one.mean, one.is_known) == (0.1, False)
    assert (two.n, two.is_known) == (2, True)


def crossed(paths, levels, *, seeds=(1, 2), control=None, value=lambda params: 0.1):
    """A study of every combination of the levels, with a validation value."""
    trials = []
    for seed in seeds:
        for combination in product(*levels):
            params = dict(zip(paths, combination, strict=True))
            metrics = dict.fromkeys((METRIC, "best/valid/recall@20"), value(params) + seed / 1000)
            trials.append(Trial(len(trials), "complete", params, seed, "L", metrics))
    return Study("s", {}, {"control": control}, tuple(trials))


def test_parameters_of_the_same_own_name_are_told_apart():
    paths = ("training.learning_rate", "autoencoder.learning_rate")
    study = crossed(paths, ((0.001, 0.01), (0.1, 0.2)))
    comparisons = main_effects(study, METRIC)
    assert [(c.factor, c.label, c.reference) for c in comparisons] == [
        (path, f"{path} {level}", f"{path} {base}")
        for path, level, base in ((paths[0], 0.01, 0.001), (paths[1], 0.2, 0.1))
    ]
    assert study.cells[0].label.count("training.learning_rate 0.001") == 1


def test_a_level_that_is_nothing_is_a_level():
    study = crossed(("x.k",), ((None, 3, 4),), control={"x.k": None})
    assert {c.reference for c in main_effects(study, METRIC)} == {"k None"}
    assert figures.draw_all(analyse(study))


def test_a_seed_that_ran_twice_is_one_seed():
    study = crossed(("x",), ((1, 2),), seeds=(1, 1, 2))
    assert [cell.num_seeds for cell in study.cells] == [2, 2]
    assert len(study.distinct_trials) == 4


def test_small_numbers_keep_two_digits():
    assert signed(0.01234, -0.5) == ["+0.0123", "-0.5000"]
    assert signed(0.0000123, -0.0000004) == ["+0.000012", "-0.000000"]
    assert signed(math.nan, 0.0) == ["+nan", "+0.0000"]


@pytest.mark.parametrize(
    "study",
    [
        crossed(("diffusion.num_steps", "dims"), ((5, 10), ([300], [200, 600]))),
        replace(crossed(("x",), ((1, 2, 3),)), name="a$b^$", tags={"dataset": "d$_{$"}),
    ],
    ids=["lists", "dollars"],
)
def test_every_figure_of_a_legal_study_is_drawn(study, capsys):
    drawn = figures.draw_all(analyse(study, (Study("empty", study.tags, {}, ()),)))
    svg = [figures.to_svg(figure, name) for name, figure in drawn.items()]
    assert svg
    assert not capsys.readouterr().err


def test_a_figure_that_fails_is_said_and_costs_no_other(monkeypatch, capsys):
    def broken(results):
        raise ZeroDivisionError("planted")

    failing = replace(figures.FIGURES["best_so_far"], draw=broken)
    monkeypatch.setitem(figures.FIGURES, "best_so_far", failing)
    assert "best_so_far" not in figures.draw_all(analyse(crossed(("x",), ((1, 2, 3),))))
    assert "note: figure best_so_far failed (ZeroDivisionError: planted)" in capsys.readouterr().err


def test_ties_have_no_p_value_whatever_rounding_leaves_of_them():
    tied, rounded, nearly = estimates(
        [[0.001, 0.001], [0.3 - 0.1, 0.2, 0.2], [0.001, 0.002, 0.001]]
    )
    assert not tied.is_known
    assert not rounded.is_known
    assert (nearly.distinct, nearly.is_known, nearly.can_be_judged) == (2, True, False)


def constant(differences):
    """A control and one cell that is better by the given differences, seed by seed."""
    bases = [0.1, 0.103, 0.098, 0.101, 0.1005][: len(differences)]
    trials = []
    for seed, (base, more) in enumerate(zip(bases, differences, strict=True)):
        for x in (0, 1):
            metrics = dict.fromkeys((METRIC, "best/valid/recall@20"), base + x * more)
            trials.append(Trial(len(trials), "complete", {"x": x}, seed, "L", metrics))
    return Study("s", {}, {"control": {"x": 0}}, tuple(trials))


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.001] * 3, "unknown"),  # a tie: no spread to judge by
        ([0.001, 0.002, 0.001], "unknown"),
        ([0.001, 0.002], "unknown"),
        ([0.0010, 0.0011, 0.0012], "better"),
        ([0.0] * 3, "the same"),
        ([0.0], "unknown"),
    ],
)
def test_a_verdict_needs_three_distinct_differences(differences, verdict):
    (comparisons,) = against_control(constant(differences), METRIC)
    assert comparisons.verdict == verdict


def test_what_cannot_be_judged_is_no_test_and_costs_the_others_nothing():
    values = null_studies(1, 3, np.random.default_rng(2), cells=3)[0]
    uncorrected = against_control(study_of(values), METRIC)
    tied = np.vstack([values, values[1:2] + 0.001])  # a fourth cell, a constant above the control
    family = against_control(study_of(tied), METRIC)
    assert family[-1].verdict == "unknown"
    assert [c.adjusted_p for c in family[:-1]] == [c.adjusted_p for c in uncorrected]


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_detectable_difference_is_shown_four_times_in_five(seeds):
    """Power of Student's t by simulation, for the true deviation."""
    noise = Estimate(seeds, 0.0, 0.0, 0.0, 1.0, deviation=1.0, distinct=seeds)
    shift = detectable_difference(noise, tests=4)
    rng = np.random.default_rng(seeds)
    drawn = shift + rng.normal(0, 1.0, (20_000, seeds))
    n = np.full(len(drawn), float(seeds))
    *_, p = student(drawn.mean(1), drawn.std(1, ddof=1), n)
    assert np.mean(p <= 0.05 / 4) == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize("seeds", [3, 5])
def test_equivalence_is_claimed_of_a_difference_as_large_as_the_margin_at_most_at_its_rate(seeds):
    rng, margin = np.random.default_rng(seeds), 0.01
    samples = estimates((margin + rng.normal(0, 0.004, (4_000, seeds))).tolist())
    is_claimed = equivalence_p(samples, [margin] * len(samples)) <= 0.05
    assert is_claimed.mean() <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 4_000)


def test_within_noise_says_equivalent_or_what_could_have_been_shown():
    (close,) = against_control(constant([0.0, 1e-5, -1e-5, 2e-5, -2e-5]), METRIC)
    assert close.verdict == "within noise"
    assert close.is_equivalent
    assert verdict_sentence(close, "R@20").endswith("equivalent within 2%.")
    (wide,) = against_control(constant([0.004, -0.005, 0.003]), METRIC)
    assert not wide.is_equivalent
    assert wide.detectable > 0.01
    sentence = verdict_sentence(wide, "R@20")
    assert f"only differences from about {wide.detectable:.4f} on could be shown" in sentence


def test_the_answer_comes_first_and_says_what_differs_or_what_could_have_been_shown():
    first = sentences(analyse(constant([0.0110, 0.0111, 0.0112])))[0]
    assert first.startswith("1 of 1 cell differs from the control x 0 in R@20 on test: x 1 is")
    assert "better by 0.0111 (+11.1%)" in first
    first = sentences(analyse(constant([0.004, -0.005, 0.003])))[0]
    assert first.startswith(
        "No difference was shown: in R@20 on test x 1 does not differ from the control x 0"
    )
    assert "only differences above about" in first
    assert "equivalence within 2% was not shown either" in first
    first = sentences(analyse(constant([0.0] * 3)))[0]
    assert first == (
        "No difference: the cell and the control x 0 gave the same R@20 on every seed."
    )


def test_with_one_seed_nothing_is_said_that_needs_two():
    results = analyse(constant([0.01]))
    sentence = sentences(results)
    assert sentence[0].startswith("Open: each cell ran with one seed")
    assert not any(re.search("interval|noise|better|worse|Holm|±", line) for line in sentence)
    assert [table.name for table in tables(results)] == ["control", "cost"]
    (row,) = tables(results)[0].rows
    assert row[-1] == "one seed"
