"""Lines of output: wrapped at words on a terminal, untouched on a pipe, nothing lost."""

import io
import os
import pty
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from diffrec.terminal import is_terminal, printable, stream_width, wrap_line, wrap_words
from strategies import ODD_TEXTS

WIDTHS = st.sampled_from((20, 60, 80, 120))


def squeezed(text):
    """The text without the white space that wrapping may change."""
    return "".join(text.split())


@given(ODD_TEXTS.map(printable), WIDTHS)
def test_no_line_is_longer_than_the_width_and_nothing_is_lost(text, width):
    lines = wrap_words(text, width, chop=True)
    assert max(map(cell_len, lines)) <= width or not text.strip()
    assert squeezed("".join(lines)) == squeezed(text)


@given(ODD_TEXTS.map(printable), WIDTHS)
def test_no_word_that_fits_is_cut(text, width):
    whole = [word for word in text.split() if cell_len(word) <= width]
    shown = [word for line in wrap_words(text, width, chop=True) for word in line.split()]
    assert [word for word in whole if word not in shown] == []


@given(ODD_TEXTS.map(printable), WIDTHS)
def test_a_word_that_does_not_fit_stays_in_one_piece_for_the_terminal_to_break(text, width):
    assume_plain = text.replace("·", "-")
    shown = [word for line in wrap_words(assume_plain, width) for word in line.split()]
    assert shown == assume_plain.split()


@given(st.text())
def test_what_is_printed_moves_no_cursor(text):
    for encoding in ("utf-8", "ascii", "latin-1"):
        shown = printable(text, encoding)
        shown.encode(encoding)
        assert all(sign.isprintable() or sign.isspace() for sign in shown)
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)


def test_a_trials_name_breaks_behind_its_dots():
    assert wrap_words("0002 L-DiffRec·kmeans·seed1", 16) == ["0002 L-DiffRec·", "kmeans·seed1"]


@pytest.mark.parametrize("width", [40, 60])
def test_further_lines_stand_below_the_text_and_not_the_label(width):
    text = "question  Does the clustering method matter to what L-DiffRec recommends to its users?"
    first, *others = wrap_line(text, width).split("\n")
    assert first.startswith("question  Does")
    assert others
    assert all(line.startswith(" " * 10) and line[10] != " " for line in others)


def test_a_command_that_is_to_be_copied_is_never_broken():
    command = "python -m tune_runner --resume a_name_that_is_rather_long --runs-dir /somewhere/else"
    lines = wrap_line(f"Interrupted; resume with: {command}", 60).split("\n")
    assert lines == ["Interrupted; resume with:", f"  {command}"]
    assert wrap_line(f"Interrupted; resume with: {command}", None) == (
        f"Interrupted; resume with: {command}"
    )


def test_a_path_is_not_broken():
    path = "/a/folder/whose/name/is/longer/than/the/line/of/this/terminal"
    assert path in wrap_line(f"files     {path}", 40)


def test_what_is_a_terminal(monkeypatch):
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        for term, able in (("xterm-256color", True), ("dumb", False), ("", False)):
            monkeypatch.setenv("TERM", term)
            assert is_terminal(stream) is able
        assert stream_width(stream) is not None
    os.close(master)
    assert not is_terminal(io.StringIO())
    assert stream_width(io.StringIO()) is None
