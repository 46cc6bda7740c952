"""The command on a terminal: a real study in a pty, drawn by a terminal emulator."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from driver import start_driver
from fake_run import FakeBackend
from servers import wait_until
from terminal import Terminal
from tune_runner.monitoring.screen import Screen
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.study.config import StudyConfig

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns and 24 rows that a driver takes for one that can do all."""
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("XTERM_VERSION", "XTerm(390)")
    with Terminal(80, 24) as opened:
        yield opened


def is_drawn(terminal, width, position):
    """Return whether the view stands there once, in this width."""
    bars = [line for line in terminal.lines() if line.startswith(f"{position} ")]
    return len(bars) == 1 and len(bars[0]) == width and "trials    " in "\n".join(terminal.lines())


VIEW = """
import sys
from search_spaces import Objective
from tune_runner.events import TrialRecord, TrialReport
from tune_runner.monitoring.progress import Progress
from tune_runner.monitoring.screen import Screen

with Screen() as screen:
    screen.write_links({"files": "/a/path", "MLflow": "http://host:5000"})
    screen.step("starting Ray")
    progress = Progress(Objective(), screen, concurrent=2)
    progress.start(4, {"complete": 0, "pruned": 0, "failed": 0}, None)
    for number in (0, 1):
        config = {"training": {"max_epochs": 12}}
        trial = TrialRecord(number, f"{number:04d} 0.5·seed1", {}, 1, config)
        progress.on_trial_start(trial)
        progress.on_trial_report(trial, TrialReport(1, 0.25, {1: {}}))
    sys.stdin.read()
    progress.on_stop_request("Ctrl-C")
    progress.stop()
"""


VIEW_TEXT = (
    "best none yet trials 0 complete, 2 running, 0 pruned, 0 failed "
    "trial epoch recall@20 best time 0000 0.5·seed1 1/12 0.2500 0.2500 0:"
)


def test_the_view_follows_the_size_of_the_terminal(terminal):
    with Path(terminal.path).open("ab") as device:
        child = subprocess.Popen(
            [sys.executable, "-c", VIEW],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,
            stdout=device,
            stderr=device,
        )
    try:
        for columns in (80, 60, 120, 80):
            terminal.resize(columns, 24)
            wait_until(
                lambda width=columns: (
                    is_drawn(terminal, width, "0/4") and VIEW_TEXT in terminal.text()
                )
            )
        child.communicate(b"", timeout=60)
    finally:
        child.kill()
        child.wait()
    lines, text = terminal.lines(), terminal.text()
    assert not any(line.startswith(("0/4 ", "trial ", "end ")) for line in lines)
    assert "stop Ctrl-C: no trial is started any more; the 2 that run keep their last" in text
    assert "[0/4] 0 complete, 2 interrupted, 0 pruned, 0 failed; 0:" in text
    assert b"\x1b]8;" in terminal.raw  # links that can be clicked
    assert b"file:///a/path" in terminal.raw
    assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")


@pytest.mark.ray
@pytest.mark.slow
def test_a_study_in_a_terminal(ray_cluster, tracking_uri, write_space, terminal, tmp_path):
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6, 0.7, 0.8)}', epochs=12)
    config = StudyConfig(space=space, name="seen", request=ResourceRequest(max_concurrent=2))
    gate = tmp_path / "gate"
    driver = start_driver(
        config, FakeBackend(gate=str(gate)), ray_cluster.address, output=terminal.path
    )
    try:
        # Both trials wait in their second epoch.
        wait_until(lambda: terminal.text().count(" 1/12 ") == 2)
        gate.touch()
        wait_until(lambda: "[4/4] " in terminal.text())
        driver.join(60)
        lines = terminal.lines()
        assert sum("  complete  valid/recall@20" in line for line in lines) == 4
        assert any(line.startswith("[4/4] 4 complete, 0 running") for line in lines)
        assert not any(line.startswith(("0/4 ", "4/4 ", "trial ")) for line in lines)
        assert b"\x1b]8;" in terminal.raw  # links that can be clicked
        assert b"file://" in terminal.raw
        assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")
        assert driver.exitcode == 0
    finally:
        driver.kill()


@pytest.mark.ray
@pytest.mark.slow
def test_ctrl_c_is_acknowledged_with_what_comes_next(
    ray_cluster, tracking_uri, write_space, terminal, tmp_path
):
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6)}', epochs=12)
    config = StudyConfig(space=space, name="stop", request=ResourceRequest(max_concurrent=1))
    backend = FakeBackend(gate=str(tmp_path / "never"))
    driver = start_driver(config, backend, ray_cluster.address, output=terminal.path)
    try:
        wait_until(lambda: " 1/12 " in terminal.text())
        os.kill(driver.pid, signal.SIGINT)
        driver.join(60)
        text = terminal.text()
        acknowledged = text.index(
            "stop Ctrl-C: no trial is started any more; the one that runs keeps its last "
            "checkpoint."
        )
        assert acknowledged < text.index("[0/2] 0 complete, 1 interrupted")
        assert "Interrupted; resume with: python -m tune_runner --resume stop" in text
        assert driver.exitcode == 130
    finally:
        driver.kill()


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
