"""The command on a terminal: a real study in a pty, drawn by a terminal emulator."""

import io
from pathlib import Path

import pytest

from servers import wait_until
from terminal import Terminal
from tune_runner.monitoring.screen import Screen


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns and 24 rows that a driver takes for one that can do all."""
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("XTERM_VERSION", "XTerm(390)")
    with Terminal(80, 24) as opened:
        yield opened


def test_a_pipe_gets_plain_lines_whatever_the_environment(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
        monkeypatch.setenv(name, "1")
    file = io.StringIO()
    with Screen(file) as screen:
        screen.step("starting Ray")
        screen.wait("end", "sending the record")
        screen.write_links({"files": "/a/path", "Ray": "", "MLflow": "http://host:5000"})
        screen.write_result("[1/2] 0000 a·seed1  complete  valid/recall@20 0.1", "complete")
    assert file.getvalue().splitlines() == [
        "start     starting Ray",
        "files     /a/path",
        "MLflow    http://host:5000",
        "[1/2] 0000 a·seed1  complete  valid/recall@20 0.1",
    ]


@pytest.mark.parametrize(
    ("variables", "encoding", "live", "coloured"),
    [
        ({}, "utf-8", True, True),
        ({"NO_COLOR": "1"}, "utf-8", True, False),
        ({"TERM": "dumb"}, "utf-8", False, False),
        ({}, "ascii", True, True),
    ],
)
def test_what_a_terminal_cannot_is_left_out(
    terminal, monkeypatch, variables, encoding, live, coloured
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with Path(terminal.path).open("w", encoding=encoding) as file:
        screen = Screen(file)
        assert screen.is_live is live
        with screen:
            screen.step("starting Ray")
            screen.write_result("[1/2] 0000 漢😀·seed1  failed: \x1b[2J", "failed")
            screen.write("question  " + "which rate serves all of the users best " * 4)
    wait_until(lambda: "users best" in terminal.text())
    lines = terminal.lines()
    name = "漢😀·seed1" if encoding == "utf-8" else "\\u6f22\\U0001f600\\xb7seed1"
    if live:
        assert f"[1/2] 0000 {name}  failed: \\x1b[2J" in "".join(lines).replace(" ", " ")
    question = next(i for i, line in enumerate(lines) if line.startswith("question  which"))
    assert all(len(line) <= 80 for line in lines)
    assert lines[question + 1].startswith(" " * 10)
    assert (b"\x1b[31m" in terminal.raw) is coloured
    assert (b"\x1b[?25l" in terminal.raw) is live
