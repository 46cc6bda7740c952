"""The page: everything is in it, nothing is fetched, every figure asks a question."""

import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from itertools import pairwise

import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from analysis import figures
from analysis.figures.style import SMALL
from analysis.report.addresses import run_url
from analysis.report.content import report_content
from analysis.report.page import page
from analysis.results import analyse
from analysis.study.model import Study, Trial

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


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
    changed = replace(study, trials=trials, tags={"dataset": "own"})
    figure = figures.draw_one("seconds_per_epoch", analyse(changed))
    (axes,) = figure.axes
    figure.canvas.draw()
    low, high = axes.get_xlim()
    named = [
        text
        for minor in (False, True)
        for position, text in zip(
            axes.get_xticks(minor=minor), axes.get_xticklabels(minor=minor), strict=True
        )
        if low <= position <= high and text.get_text()
    ]
    assert len(named) >= 2
    unit = "milliseconds" if least * spread < 0.1 else "seconds"
    assert axes.get_xlabel().startswith(f"{unit} per epoch")
    boxes = sorted((text.get_window_extent() for text in named), key=lambda box: box.x0)
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_the_page_opens_with_the_answer_then_the_winner_then_the_contents(text):
    order = [text.index(f'id="{part}"') for part in ("answer", "found", "cells", "made")]
    assert order == sorted(order)
    answer = text[order[0] : order[1]]
    assert answer.index("the control 2·kmeans") < answer.index("Best by validation") < len(answer)
    linked = re.findall(r'<li><a href="#([^"]+)">', answer)
    headings = re.findall(r'<section id="([^"]+)"', text)
    assert linked == headings[1:]  # all but the answer itself


def test_each_cell_links_to_its_runs_and_no_password_leaves_the_machine(study):
    runs = tuple(replace(t, run_id=f"r{t.number}") for t in study.trials)
    content = report_content(analyse(replace(study, trials=runs, experiment_id="7")))
    local_page = page(content, {}, "sqlite:////somewhere/mlflow.db")
    links = re.findall(r'<a href="(http[^"]+)"', local_page)
    assert {f"http://127.0.0.1:5000/#/experiments/7/runs/r{n}" for n in range(15)} == set(links)
    server_page = page(content, {}, "https://user:secret@mlflow.example:8443/base/")
    assert "secret" not in server_page
    assert "https://mlflow.example:8443/base/#/experiments/7/runs/r3" in server_page
    assert run_url("http://[::1]:5000", "1", "r") == "http://[::1]:5000/#/experiments/1/runs/r"


def colours_of(figure, names):
    """Colour of each named line, mark or bar in a figure."""
    colours = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label in names:
                artist = handle[0] if hasattr(handle, "__getitem__") else handle
                get = getattr(artist, "get_facecolor", None) or artist.get_color
                colours[label] = to_hex(get())
    return colours


def test_a_level_has_one_colour_in_every_figure(drawn):
    names = ("kmeans", "<i>", "without clustering")
    used: dict[str, set[str]] = {name: set() for name in names}
    shown = ("by_number", "curves", "cost", "divergence")
    for name in shown:
        for level, colour in colours_of(drawn[name], names).items():
            used[level].add(colour)
    assert all(len(colours) == 1 for colours in used.values())
    assert len(set.union(*used.values())) == 3


def test_only_the_control_is_called_the_control(drawn):
    for name, figure in drawn.items():
        labels = [t.get_text() for t in figure.findobj(Text) if "control" in t.get_text()]
        assert set(labels) <= {"the control"}, name
    (ring,) = [line for line in drawn["by_number"].axes[0].lines if line.get_markersize() == 11]
    assert ring.get_xdata()[0] == pytest.approx(2, abs=0.1)


def test_no_legend_lies_on_data_and_no_text_is_small(drawn):
    for name, figure in drawn.items():
        figure.draw_without_rendering()
        assert not any(axes.get_legend() for axes in figure.axes), name
        boxes = [axes.get_window_extent() for axes in figure.axes]
        for legend in figure.legends:
            below = legend.get_window_extent()
            assert all(below.y1 <= box.y0 + 1 for box in boxes), name
        sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_text()]
        # On a page of 400 px a figure is shown 368 px wide.
        assert min(sizes) * 368 / (figure.get_figwidth() * 96) >= 8 - 1e-6, name
        assert min(sizes) >= SMALL, name


@pytest.fixture(scope="module")
def written(text, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(text)
    return path


def chromium(page_path, *options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *options]
    folder = page_path.parent / "profile"
    command += [f"--user-data-dir={folder}", page_path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_printed_on_a4_no_column_is_lost(written, text):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    pdf = written.with_suffix(".pdf")
    chromium(written, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    boxes = subprocess.run(
        ["pdftotext", "-bbox", str(pdf), "-"], capture_output=True, text=True, check=True
    ).stdout
    width = float(re.search(r'page width="([0-9.]+)"', boxes)[1])
    words = re.findall(r'xMin="([0-9.]+)" .*?xMax="([0-9.]+)".*?>(.*?)</word>', boxes)
    assert width == pytest.approx(842, abs=1)  # A4 landscape, in points
    assert all(float(low) >= 0 and float(high) <= width for low, high, _ in words)
    printed = " ".join(unescape(word) for _, _, word in words)
    for header in set(re.findall(r"<th>(.*?)</th>", text)):
        for word in unescape(header).split():
            assert word in printed, header


@pytest.mark.parametrize("width", [500, 1600])  # headless Chromium is at least 500 px wide
def test_the_page_is_no_wider_than_the_screen(written, text, width):
    probe = written.with_name(f"probe_{width}.html")
    script = "<script>document.title=document.documentElement.scrollWidth+'/'+innerWidth</script>"
    probe.write_text(text.replace("</main>", f"</main>{script}"))
    dom = chromium(probe, f"--window-size={width},900", "--dump-dom")
    needed, shown = map(int, re.search(r"<title>(\d+)/(\d+)</title>", dom).groups())
    assert needed <= shown
