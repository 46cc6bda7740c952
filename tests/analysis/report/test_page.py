"""The page: everything is in it, nothing is fetched, every figure asks a question."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from analysis import figures
from analysis.report.content import report_content
from analysis.report.page import page
from analysis.results import analyse
from analysis.study.model import Study, Trial


@pytest.fixture(scope="module")
def study():
    """Two methods, counts 1 to 3, three seeds; one trial pruned, one failed, names that bite."""
    trials = []
    for seed in (1, 2, 3):
        for count, method in ((1, None), (2, "kmeans"), (3, "kmeans"), (2, "<i>"), (3, "<i>")):
            params = {"autoencoder.num_clusters": count, "autoencoder.clustering": method}
            params = {path: value for path, value in params.items() if value is not None}
            value = 0.16 - 0.01 * count + 0.001 * seed + 0.0001 * ((count * seed) % 4)
            number = len(trials)
            state = {13: "pruned", 14: "failed"}.get(number, "complete")
            metrics = {"test/recall@20": value, "best/valid/recall@20": value, "cost/seconds": 60.0}
            trials.append(
                Trial(
                    number,
                    state,
                    params,
                    seed,
                    "L-DiffRec",
                    metrics,
                    pruned_at=10 if state == "pruned" else None,
                    error="out of <memory>" if state == "failed" else "",
                    start=60.0 * number,
                    end=60.0 * number + 60,
                    curves={"valid/recall@20": {5: value / 2, 10: value, 15: value}}
                    | {"train/epoch_seconds": {5: 2.0, 10: 2.1}},
                )
            )
    tags = {"dataset": "ml-1m_clean", "question": "Is <b>more</b> better?"}
    control = {"autoencoder.num_clusters": 2, "autoencoder.clustering": "kmeans"}
    return Study("planted", tags, {"control": control}, tuple(trials))


@pytest.fixture(scope="module")
def drawn(study):
    return figures.draw_all(analyse(study))


@pytest.fixture(scope="module")
def text(study, drawn):
    drawings = {name: figures.to_svg(figure, name) for name, figure in drawn.items()}
    return page(report_content(analyse(study)), drawings)


def test_page_requests_nothing(text):
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|url\((?!#)", text)
    assert not re.search(r'(src|href)="(?!#)', text)


def test_page_holds_no_address_but_the_names_of_xml(text):
    addresses = set(re.findall(r"https?://[^\"<\s]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_page_follows_the_readers_light_or_dark(text):
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text
    assert figures.INK not in text


def test_ids_of_different_drawings_do_not_meet(text):
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert ids
    used = {a or b for a, b in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)}
    assert used <= set(ids)


def test_names_are_escaped(text):
    assert "Is &lt;b&gt;more&lt;/b&gt; better?" in text
    assert "out of &lt;memory&gt;" in text
    assert "<i>" not in text


def test_page_says_what_was_found_and_what_is_missing(text):
    assert "Best by validation: 1 cluster" in text
    assert "13 of 15 trials complete; 2 missing: 1 pruned, 1 failed." in text
    assert "within noise" in text
    assert "kg CO2e" in text
    assert "Wang et al." in text


def test_every_word_of_a_figure_is_in_the_ink_that_the_page_replaces(drawn):
    for name, figure in drawn.items():
        figure.draw_without_rendering()
        inks = {to_hex(t.get_color()) for t in figure.findobj(Text) if t.get_text()}
        assert inks == {figures.INK}, name


def test_every_figure_asks_a_question_and_names_its_axes(drawn):
    assert len(drawn) > 10
    for name, figure in drawn.items():
        assert figure.get_suptitle().endswith("?"), name
        for axes in figure.axes:
            assert axes.get_xlabel(), name


def test_drawings_are_the_same_text_for_the_same_study(study):
    first, second = (figures.draw_one("best_so_far", analyse(study)) for _ in range(2))
    assert figures.to_svg(first, "x") == figures.to_svg(second, "x")


def test_a_study_without_curves_or_control_still_has_a_page():
    trial = Trial(0, "complete", {}, 1, "DiffRec", {"best/valid/recall@20": 0.1})
    lone = Study("lone", {}, {}, (trial,))
    assert "lone" in page(report_content(analyse(lone)), {})
    assert figures.draw_all(analyse(lone)) == {}


@pytest.mark.parametrize("least", [2.0, 0.0064])  # of a CPU, of a GPU
@pytest.mark.parametrize("spread", [1.25, 4.0, 30.0])
def test_seconds_per_epoch_has_ticks_with_names_whatever_their_range(study, spread, least):
    values = [least, least * spread]
    trials = tuple(
        replace(t, curves=t.curves | {"train/epoch_seconds": {5: values[t.number % 2]}})
        for t in study.trials
    )
    found = replace(study, trials=trials, tags={"dataset": "own"})
    figure = figures.draw_one("seconds_per_epoch", analyse(found))
    (axes,) = figure.axes
    figure.canvas.draw()
    low, high = axes.get_xlim()
    named = [
        text
        for minor in (False, True)
        for place, text in zip(
            axes.get_xticks(minor=minor), axes.get_xticklabels(minor=minor), strict=True
        )
        if low <= place <= high and text.get_text()
    ]
    assert len(named) >= 2
    unit = "milliseconds" if least * spread < 0.1 else "seconds"
    assert axes.get_xlabel().startswith(f"{unit} per epoch")
    boxes = sorted((text.get_window_extent() for text in named), key=lambda box: box.x0)
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
