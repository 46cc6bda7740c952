"""A study keeps the checkpoints that can still be of use, whatever killed its drivers."""

from pathlib import Path

from tune_runner.checkpoints.locations import trial_location
from tune_runner.checkpoints.retention import CheckpointRetention
from tune_runner.events import TrialRecord, TrialResult


def test_what_a_killed_driver_left_is_swept_but_open_failed_and_best_stay(tmp_path):
    for number in range(5):
        Path(trial_location(str(tmp_path), number)).mkdir()
    keeper = CheckpointRetention(str(tmp_path), lambda: {2})
    keeper.remove_stale([0, 1, 2])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trial_0002", "trial_0003", "trial_0004"]


def test_the_models_of_points_that_may_lead_stay_until_the_order_is_final(tmp_path):
    """Trial 1 led by luck; its second seed falls behind trial 0, whose model is still there."""
    kept = {0}
    keeper = CheckpointRetention(str(tmp_path), lambda: set(kept))
    ends = [("complete", {0}), ("complete", {0, 1}), ("pruned", {0, 1}), ("failed", {0, 1})]
    ends += [("complete", {0, 4}), ("complete", {0})]
    for number, (state, stay) in enumerate(ends):
        kept = stay
        Path(trial_location(str(tmp_path), number)).mkdir()
        keeper.on_trial_end(TrialRecord(number, str(number), {}, 1), TrialResult(state, 5, 0.5))
        if number == 4:
            names = sorted(p.name for p in tmp_path.iterdir())
            assert names == ["trial_0000", "trial_0003", "trial_0004"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trial_0000", "trial_0003"]


def test_a_study_that_ends_with_a_failure_keeps_its_leader_alone(tmp_path):
    kept = {0, 1}
    for number in range(3):
        Path(trial_location(str(tmp_path), number)).mkdir()
    keeper = CheckpointRetention(str(tmp_path), lambda: set(kept))
    kept = {0}  # no seed is left that could change the order
    keeper.on_trial_end(TrialRecord(2, "2", {}, 1), TrialResult("failed", 0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trial_0000", "trial_0002"]
