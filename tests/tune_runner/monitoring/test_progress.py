"""On a pipe: a line for each trial that ended, and one for the study."""

import io

from search_spaces import Objective
from tune_runner.events import Leader, TrialRecord, TrialReport, TrialResult
from tune_runner.monitoring.progress import Progress
from tune_runner.monitoring.screen import Screen


def record(number):
    """A trial."""
    return TrialRecord(number, f"000{number} kmeans·2·seed1", {}, 1, {}, "L-DiffRec")


def test_a_pipe_gets_a_line_for_each_end_and_one_for_the_study():
    out = io.StringIO()
    progress = Progress(Objective(), Screen(out), concurrent=2)
    progress.start(5, {"complete": 1, "pruned": 0, "failed": 0}, Leader(0, "0000", 0.1))
    for number in (1, 2, 3):
        progress.on_trial_start(record(number))
        progress.on_trial_report(record(number), TrialReport(5, 0.2, {5: {"train/loss": 1.0}}))
        progress.tick()
    found = Leader(1, record(1).name, 0.2, num_seeds=3)
    progress.on_trial_end(record(1), TrialResult("complete", 50, 0.25, leader=found))
    progress.on_trial_end(record(2), TrialResult("pruned", 10))
    progress.on_trial_end(record(3), TrialResult("failed", 3, error="ValueError: [bold]x"))
    progress.stop()
    lines = out.getvalue().splitlines()
    assert lines[0] == "[2/5] 0001 kmeans·2·seed1  complete  valid/recall@20 0.2500"
    assert lines[1] == "[3/5] 0002 kmeans·2·seed1  pruned at epoch 10"
    assert lines[2] == "[4/5] 0003 kmeans·2·seed1  failed at epoch 3: ValueError: [bold]x"
    assert lines[3].startswith("[4/5] 2 complete, 0 running, 1 pruned, 1 failed; best")
    assert "best valid/recall@20 0.2000 (mean of 3 seeds, 0001" in lines[3]
    assert len(lines) == 4


def test_a_best_of_zero_is_a_best():
    progress = Progress(Objective(), Screen(io.StringIO()), concurrent=1)
    progress.start(2, {"complete": 0, "pruned": 0, "failed": 0}, None)
    leader = Leader(0, record(0).name, 0.0)
    for number, value in enumerate((0.0, -0.5)):
        progress.on_trial_end(record(number), TrialResult("complete", 1, value, leader=leader))
    assert "best valid/recall@20 0.0000 (0000" in progress.line()


def test_a_study_with_several_objectives_shows_what_it_found_so_far():
    answers = iter(("", "front of 1 point: a 0.1", "front of 2 points: a 0.1 to 0.2"))
    progress = Progress(
        Objective(), Screen(io.StringIO()), concurrent=1, answer=lambda: next(answers)
    )
    progress.start(2, {"complete": 0, "pruned": 0, "failed": 0}, None)
    assert "front" not in progress.line()
    for number, points in ((0, "1 point: a 0.1"), (1, "2 points: a 0.1 to 0.2")):
        progress.on_trial_end(record(number), TrialResult("complete", 1, 0.1))
        assert f"; front of {points};" in progress.line()
