"""A study keeps the checkpoints that can still be of use, whatever killed its drivers."""

from pathlib import Path

from tune_runner.checkpoints.locations import trial_location
from tune_runner.checkpoints.retention import CheckpointRetention


def test_what_a_killed_driver_left_is_swept_but_open_failed_and_best_stay(tmp_path):
    for number in range(5):
        Path(trial_location(str(tmp_path), number)).mkdir()
    keeper = CheckpointRetention(str(tmp_path), lambda: {2})
    keeper.remove_stale([0, 1, 2])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trial_0002", "trial_0003", "trial_0004"]
