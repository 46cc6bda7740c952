"""Other studies, fresh seeds, patience and parameters: each says what it may and no more."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.comparisons.confirmation import (
    confirmation,
    confirmation_sentence,
    confirmation_table,
)
from analysis.comparisons.other_studies import (
    rows_we_lack,
    sentences_beside,
    shared_cells,
    study_beside,
    tables_beside,
)
from analysis.comparisons.patience import patience_effects, patience_sentences, patience_table
from analysis.diagnostics.importance import importance
from analysis.figures.comparisons import improvement, reproduction
from analysis.report_table import ReportTable, to_csv, to_latex, to_markdown
from analysis.results import analyse
from analysis.study.metrics import TEST_METRICS
from analysis.study.model import Study, Trial

METRIC = "test/recall@20"


def against_sentences(study, other, metric, name):
    """What the other study adds, in words."""
    return sentences_beside(study_beside(study, other, metric), name)


def against_sheets(study, other, metric, name):
    """The tables of the other study."""
    return tables_beside(study_beside(study, other, metric), metric, name)


DATA = {"dataset": "ml-1m_clean", "dataset_sha256": "a", "protocol": "published"}


def trials(cells, variant="DiffRec", seeds=3, role=""):
    """Trials of cells {params: value}, a little apart by seed."""
    return tuple(
        Trial(
            number * seeds + seed,
            "complete",
            dict(params),
            seed,
            dict(params).get("variant", variant),
            dict.fromkeys(
                (*TEST_METRICS, "best/valid/recall@20"), value * (1 + jitter) + seed * 0.001
            ),
            role=role,
        )
        for number, (params, value) in enumerate(cells.items())
        for seed, jitter in zip(range(seeds), (0.0, 0.001, -0.001, 0.002, -0.002), strict=False)
    )


def study(name, cells, *, tags=None, **options):
    return Study(name, {**DATA, **(tags or {})}, {}, trials(cells, **options))


def test_cells_that_agree_on_what_both_vary_are_paired_by_seed():
    ours = study("ours", {(("clusters", 2), ("rate", 0.1)): 0.15, (("clusters", 3),): 0.1})
    theirs = study("theirs", {(("clusters", 2),): 0.10, (("clusters", 4),): 0.2})
    (match,) = shared_cells(ours, theirs, METRIC)
    assert (match.ours.label, match.theirs.label) == ("clusters 2·rate 0.1", "clusters 2")
    assert match.comparison.estimate.n == 3
    assert match.comparison.estimate.mean == pytest.approx(0.05)
    assert match.differs == "not recorded"


def test_a_cell_is_matched_by_what_was_resolved_where_the_other_did_not_search_it():
    ours = study("ours", {(("clusters", 2),): 0.15, (("clusters", 3),): 0.1})
    theirs = study("theirs", {(("variant", "DiffRec"),): 0.10})
    configs = [{"clusters": 2}] * 3 + [{"clusters": 3}] * 3
    ours, theirs = (
        replace(
            s, trials=tuple(replace(t, config=c) for t, c in zip(s.trials, configs, strict=False))
        )
        for s in (ours, theirs)
    )
    (match,) = shared_cells(ours, theirs, METRIC)
    assert match.ours.label == "clusters 2"


def test_nothing_is_tested_across_datasets_or_protocols():
    cells = {(("clusters", 2),): 0.15}
    for tags in ({"dataset": "yelp_clean"}, {"protocol": "chronological"}, {"dataset_sha256": "b"}):
        ours, theirs = study("ours", cells), study("theirs", cells, tags=tags)
        (match,) = shared_cells(ours, theirs, METRIC)
        assert match.comparison is None
        assert "so none is tested" in against_sentences(ours, theirs, METRIC, "R@20")[0]
        (sheet,) = against_sheets(ours, theirs, METRIC, "R@20")
        assert sheet.rows[0][-1] == "other data"


def test_variants_that_we_lack_are_set_beside_our_best():
    ours = study("ours", {(("rate", 0.1),): 0.15})
    theirs = study("baselines", {(("variant", "EASE"),): 0.18, (("variant", "Popularity"),): 0.05})
    new_rows = rows_we_lack(ours, theirs, METRIC)
    assert [cell.variant for cell, _ in new_rows] == ["EASE", "Popularity"]
    assert [comparison.verdict for _, comparison in new_rows] == ["better", "worse"]


def test_confirmation_asks_fresh_seeds_only():
    searched = trials({(("rate", 1.0),): 0.2, (("rate", 2.0),): 0.19, (("rate", 3.0),): 0.1})
    fresh = trials({(("rate", 1.0),): 0.12, (("rate", 2.0),): 0.15}, role="confirm")
    one = Study("s", {"sampler": "tpe"}, {}, searched, confirmation_trials=fresh)
    result = confirmation(one, METRIC)
    assert result.winner.label == "rate 1"
    assert result.comparison.verdict == "worse"
    assert "refuted" in confirmation_sentence(one, result, "R@20")
    first = confirmation_table(one, METRIC, "R@20").rows[0]
    assert first[:4] == ("rate 1", "0.2010", "0.1210", "-0.0800")
    assert confirmation(Study("s", {}, {}, searched), METRIC) is None
    assert confirmation_sentence(Study("s", {}, {}, searched), None, "R@20") == ""


def test_patience_is_set_beside_the_reports_claim_only_where_it_speaks_of_the_same():
    cells = {
        (("variant", "L-DiffRec"), ("training.patience", 20)): 0.10,
        (("variant", "L-DiffRec"), ("training.patience", 200)): 0.133,
    }
    report = {"preset": "report"}
    (said,) = patience_sentences(patience_effects(study("p", cells, tags=report)))
    assert "Patience 200 instead of 20 epochs changed L-DiffRec's four test metrics by +3" in said
    assert "the reproduction report says +32.9%, inside our interval" in said
    for others in (
        {**report, "dataset": "yelp_clean"},
        {**report, "protocol": "chronological"},
        {"preset": "published"},
        {},
    ):
        (other,) = patience_sentences(patience_effects(study("p", cells, tags=others)))
        assert "report says" not in other
    of_another = {(("variant", "DiffRec"), params[1]): value for params, value in cells.items()}
    (other,) = patience_sentences(patience_effects(study("p", of_another, tags=report)))
    assert "report says" not in other
    assert patience_table(patience_effects(study("p", {(("rate", 1.0),): 0.1}))) is None


@pytest.mark.parametrize(
    ("changes", "tags", "count"),
    [
        ({"training.patience": 200}, {}, 1),
        ({"training.patience": 200, "training.learning_rate": 1.0}, {}, 0),
        ({}, {}, 0),
        ({"training.patience": 200}, {"dataset": "yelp_clean"}, 0),
    ],
)
def test_patience_of_two_studies_is_compared_where_nothing_else_differs(changes, tags, count):
    def of_patience(name, value, config, tags=None):
        result = study(name, {(("variant", "DiffRec"),): value}, tags=tags)
        base = {"training.patience": 20, "training.learning_rate": 0.1, **config}
        trials = tuple(replace(t, config=base | {"seed": t.seed}) for t in result.trials)
        return replace(result, trials=trials)

    long, short = of_patience("long", 0.11, changes), of_patience("short", 0.1, {}, tags)
    sentences = [
        line
        for line in against_sentences(long, short, METRIC, "R@20")
        if line.startswith("Patience 200 instead of 20 epochs changed DiffRec's")
    ]
    sheets = [s for s in against_sheets(long, short, METRIC, "R@20") if s.name == "patience_short"]
    assert len(sentences) == len(sheets) == count
    if count:
        assert "report says" not in sentences[0]  # it says it of its L-DiffRec
        assert sheets[0].rows[0][:3] == ("DiffRec", "20 → 200", "+9.9%")


def test_cells_that_differ_in_more_than_the_variant_are_named_apart_and_so_is_their_code():
    def of_patience(name, patience, value, commits):
        result = study(
            name,
            {
                (("variant", "L-DiffRec"), ("autoencoder.num_clusters", clusters)): value
                for clusters in (2, 3)
            },
        )
        trials = [
            replace(t, config={"training.patience": patience, **t.params}, commits=commits)
            for t in result.trials
        ]
        return replace(result, trials=tuple(trials))

    short = of_patience("short", 20, 0.1, ("a" * 40,))
    for commits, is_named in ((("a" * 40,), False), (("a" * 40, "b" * 40), True)):
        long = of_patience("long", 200, 0.12, commits)
        sentences = [s for s in against_sentences(long, short, METRIC, "R@20") if "Patience" in s]
        assert [s.split("changed ")[1].split("'s")[0] for s in sentences] == [
            "L-DiffRec·2",
            "L-DiffRec·3",
        ]
        code = "the commits differ (20 epochs: commit aaaaaaa; 200: aaaaaaa, bbbbbbb)"
        assert all((code in s) == is_named for s in sentences)
        assert not any("beginnings" in s for s in sentences)
        sheets = list(against_sheets(long, short, METRIC, "R@20"))
        assert [row[2] for row in sheets[0].rows] == [
            "patience 200 / 20" + (", code aaaaaaa, bbbbbbb / aaaaaaa" if is_named else "")
        ] * 2
        sheet = next(s for s in sheets if s.name == "patience_short")
        assert [row[0] for row in sheet.rows] == ["L-DiffRec·2", "L-DiffRec·3"]


def test_a_short_run_that_is_the_beginning_of_the_long_one_is_said_to_be():
    def of_patience(name, patience, value, curve, commit):
        result = study(name, {(("variant", "DiffRec"),): value})
        config = {"training.patience": patience}
        curves = {result.objective: curve}
        trials = [
            replace(t, config=config, curves=curves, commits=(commit,)) for t in result.trials
        ]
        return replace(result, trials=tuple(trials))

    long = of_patience("long", 200, 0.12, {5: 0.1, 10: 0.2, 15: 0.3}, "a" * 40)
    beginning = of_patience("short", 20, 0.1, {5: 0.1, 10: 0.2}, "b" * 40)
    another = of_patience("short", 20, 0.1, {5: 0.1, 10: 0.2000001}, "b" * 40)
    for short, is_one in ((beginning, True), (another, False)):
        (sentences,) = [
            s for s in against_sentences(long, short, METRIC, "R@20") if "Patience" in s
        ]
        assert (
            "the shorter runs are the longer ones' beginnings to the bit" in sentences
        ) == is_one
        assert "the commits differ" in sentences  # test may have been scored by other code


def test_panels_of_one_dataset_are_told_apart_and_no_two_names_look_alike():
    variants = [f"V{i}" for i in range(9)]

    def of_patience(name, patience, shown):
        cells = {(("variant", v),): 0.1 + i / 100 for i, v in enumerate(("DiffRec", *shown))}
        space = {"control": {"variant": "DiffRec"}}
        result = replace(study(name, cells), space=space)
        config = {} if patience is None else {"training.patience": patience}
        return replace(result, trials=tuple(replace(t, config=config) for t in result.trials))

    short, long = of_patience("a", 20, variants[:5]), of_patience("b", 200, variants[4:])
    drawn = improvement(analyse(short, [long]))
    headings = [axes.get_title(loc="left") for axes in drawn.axes]
    assert headings == ["ml-1m_clean, patience 20", "ml-1m_clean, patience 200"]
    looks = {}
    for axes in drawn.axes:
        for bars in axes.containers:
            if hasattr(bars, "patches"):
                looks[bars.get_label()] = (bars[0].get_facecolor(), bars[0].get_hatch())
    assert set(looks) == set(variants)
    assert len(set(looks.values())) == len(variants)
    (first, second) = improvement(
        analyse(of_patience("a", None, ["V"]), [of_patience("b", None, ["V"])])
    ).axes
    assert [first.get_title(loc="left"), second.get_title(loc="left")] == [
        "ml-1m_clean, a",
        "ml-1m_clean, b",
    ]


def test_studies_of_one_dataset_have_a_panel_each_beside_the_literature():
    ours = study("ours", {(("variant", "DiffRec"),): 0.15})
    theirs = study("theirs", {(("variant", "DiffRec"),): 0.20})
    single, both = reproduction(analyse(ours)), reproduction(analyse(ours, [theirs]))
    heights = [
        [bar.get_height() for bars in axes.containers if hasattr(bars, "patches") for bar in bars]
        for axes in (single.axes[0], both.axes[0], both.axes[1])
    ]
    assert heights[0] == heights[1]
    assert heights[0] != heights[2]
    assert [axes.get_title(loc="left").split(":")[0] for axes in both.axes] == [
        "ml-1m_clean, ours",
        "ml-1m_clean, theirs",
    ]


def test_a_variant_that_never_trains_longer_gave_the_same_runs():
    cells = {(("variant", "V"), ("training.patience", p)): 0.1 for p in (20, 200)}
    one = study("p", cells)
    by_seed = {t.seed: t.metrics for t in one.trials[:3]}
    one = replace(one, trials=tuple(replace(t, metrics=by_seed[t.seed]) for t in one.trials))
    (effect,) = patience_effects(one)
    (sentences,) = patience_sentences([effect])
    assert "gave the same runs of V" in sentences
    assert "interval" not in sentences
    assert patience_table([effect]).rows[0][3] == "the same runs"


def test_importance_finds_what_matters_and_gives_luck_its_share():
    rng = np.random.default_rng(0)
    points = []
    for number in range(60):
        rate, idle, seed = rng.uniform(0, 1), rng.uniform(0, 1), int(rng.integers(1, 4))
        metrics = {"best/valid/recall@20": rate + 0.02 * seed + rng.normal(0, 0.01)}
        params = {"rate": float(rate), "idle": float(idle)}
        points.append(Trial(number, "complete", params, seed, "D", metrics))
    result = importance(Study("s", {}, {}, tuple(points)))
    shares = dict(result.shares)
    assert result.shares[0][0] == "rate"
    assert shares["rate"] > 0.8
    assert shares["idle"] < 0.05
    assert sum(shares.values()) <= 1.05
    assert result.explained > 0.8
    assert importance(Study("s", {}, {}, tuple(points[:9]))) is None


def test_a_sheet_is_the_same_rows_in_every_form():
    sheet = ReportTable("x", "What?", ("a_b", "c"), (("one\nsmaller", "10 %"),), "A note.")
    assert "| one smaller | 10 % |" in to_markdown(sheet)
    assert to_csv(sheet) == "a_b,a_b (2),c\none,smaller,10 %\n"
    assert r"one smaller & 10 \% \\" in to_latex(sheet)
    assert r"a\_b & c \\" in to_latex(sheet)
