"""A study keeps the checkpoints that can still be of use, whatever killed its drivers."""

from tune_runner.housekeeping import Housekeeper, trial_folder


def test_what_a_killed_driver_left_is_swept_but_open_failed_and_best_stay(tmp_path):
    for number in range(5):
        trial_folder(tmp_path, number).mkdir()
    keeper = Housekeeper(tmp_path, maximize=True, best=(2, 0.9))
    keeper.sweep([0, 1, 2])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trial_0002", "trial_0003", "trial_0004"]
