"""The live view fits every terminal: no line cut, no word cut, no row too many."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from strategies import ODD_TEXTS
from tune_runner.monitoring.live_view import RunningTrial, StudyView, view_lines

SIZES = [(60, 20), (80, 24), (120, 40)]
TRIALS = st.builds(
    RunningTrial,
    name=ODD_TEXTS,
    seconds=st.floats(0, 1e6),
    epoch=st.integers(0, 10**5),
    max_epochs=st.none() | st.integers(1, 10**5),
    value=st.none() | st.floats(0, 1),
    best=st.none() | st.floats(0, 1),
)
VIEWS = st.builds(
    StudyView,
    objective=st.sampled_from(("valid/recall@20", "valid/ndcg@100")),
    finished=st.integers(0, 10**6),
    total=st.integers(1, 10**6),
    counts=st.just("11 complete, 4 running, 1 pruned, 0 failed"),
    elapsed_seconds=st.floats(0, 1e7),
    time_left=st.sampled_from(("about 70 min left", "time left unknown", "nothing left")),
    best=ODD_TEXTS,
    running=st.lists(TRIALS, max_size=12),
    notes=st.lists(st.tuples(st.just("stop"), ODD_TEXTS), max_size=1),
)


def drawn(view, width, height, **console):
    """Plain text of the view's lines."""
    console = Console(file=io.StringIO(), width=width, **console)
    return [line.plain for line in view_lines(view, console, width, height)]


@given(VIEWS, st.sampled_from([*SIZES, (24, 8), (400, 100)]))
def test_whatever_the_names_the_view_fits(view, size):
    width, height = size
    lines = drawn(view, width, height)
    assert 1 <= len(lines) <= height
    assert [line for line in lines if cell_len(line) > width] == []


USUAL = StudyView(
    objective="valid/recall@20",
    finished=12,
    total=51,
    counts="11 complete, 4 running, 1 pruned, 0 failed",
    elapsed_seconds=192,
    time_left="about 70 min left",
    best="valid/recall@20 0.3401 (0002 kmeans·2·seed1)",
    running=[
        RunningTrial("0023 kmeans·3·seed1", 75, 15, 200, 0.3312, 0.335),
        RunningTrial("0024 gaussian_mixture·12·seed1", 75, 0, 200),
        RunningTrial(
            "0025 L-DiffRec·learned_recency·0.000123·2000x100·seed1", 4000, 95, 1000, 0.2, 0.3
        ),
        RunningTrial("0026 EASE·seed1", 5),
    ],
)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_fact_stands_whole_at_every_width(width, height):
    lines = drawn(USUAL, width, height)
    words = [word for line in lines for word in line.split()]
    for word in ("12/51", "3:12,", "0.3401", "15/200", "0.3312", "0.3350", "1:15", "1:06:40"):
        assert word in words
    assert lines[0].startswith("12/51 ")
    assert lines[0].endswith("about 70 min left")
    assert "kmeans·2·seed1)" in words
    name = ["gaussian_mixture·12·", "seed1"] if width == 60 else ["gaussian_mixture·12·seed1"]
    assert set(name) <= set(words)
    assert lines.index("") < lines.index(next(line for line in lines if "0023 " in line))
    row = next(line for line in lines if "0023 " in line)
    assert row.split()[1:] == ["kmeans·3·seed1", "15/200", "0.3312", "0.3350", "1:15"]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_trials_that_have_no_room_are_counted(width, height):
    many = StudyView(
        "o", 0, 9, "", 0, "", "", [RunningTrial(f"{n:04d} a·seed1", 1) for n in range(99)]
    )
    lines = drawn(many, width, height)
    shown = sum("a·seed1" in line for line in lines)
    assert len(lines) == height
    assert lines[-1] == f"and {99 - shown} more run"


def test_a_terminal_that_is_not_utf_8_gets_what_it_can_show():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, width=60, force_terminal=True)
    lines = [line.plain for line in view_lines(USUAL, console, 60, 20)]
    assert all(line.isascii() and len(line) <= 60 for line in lines)
    assert "----" in lines[0]


def test_without_colours_the_bar_still_tells():
    plain = drawn(USUAL, 80, 24, force_terminal=True, no_color=True)[0]
    assert 0 < plain.count("━") < plain.count(" ")
