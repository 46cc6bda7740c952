"""What a worker shows of itself: the title of its process and the lines of its log."""

import errno
import io
import sys

import pytest

from tune_runner.events import Outcome, TrialReport
from tune_runner.worker.display import TITLE_BYTES, describe, log_reports, process_title


def test_a_title_ends_with_the_epoch_however_long_the_name():
    assert process_title("0007 kmeans·3·seed2", 5) == "ray::0007 kmeans·3·seed2 epoch 5"
    long = process_title("·" * 300, 12)
    assert long.endswith("· epoch 12")
    assert len(long.encode()) <= TITLE_BYTES


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (TrialReport(5, 0.25, {5: {"train/loss": 0.5}}), "epoch 5: valid/x 0.2500, loss 0.5"),
        (TrialReport(5, None, {}), "epoch 5"),
        (TrialReport(5, 0.25, {}, Outcome(0.25)), "epoch 5: valid/x 0.2500; complete"),
        (TrialReport(5, None, {}, Outcome(failure="why")), "epoch 5; failed: why"),
    ],
)
def test_a_line_says_what_a_validation_found(report, words):
    assert describe(report, "valid/x") == words


def test_a_log_that_takes_nothing_stops_no_trial(monkeypatch):
    class Full(io.TextIOWrapper):
        def flush(self):
            raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(sys, "stdout", Full(io.BytesIO(), encoding="ascii"))
    log_reports({0: TrialReport(1, 0.5, {})}, {0: "0000 kmeans·3 \udcff"}, "valid/x")
