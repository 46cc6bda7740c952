"""A checkpoint survives a crash at any moment of its writing."""

import pytest
import torch

from tune_runner import checkpoints


def test_state_comes_back_and_only_one_file_stays(tmp_path):
    folder = tmp_path / "trial"
    assert checkpoints.load(folder) is None
    for epoch in (1, 2):
        checkpoints.save(folder, {"epoch": epoch, "weights": torch.ones(3)})
    assert checkpoints.load(folder)["epoch"] == 2
    assert [path.name for path in folder.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_file_that_cannot_be_read_yields_to_the_one_before(tmp_path, damage):
    checkpoints.save(tmp_path, {"epoch": 1})
    good = (tmp_path / "state.pt").read_bytes()
    (tmp_path / "state.previous.pt").write_bytes(good)
    (tmp_path / "state.pt").write_bytes(good[: len(good) // 2] if damage is None else damage)
    assert checkpoints.load(tmp_path)["epoch"] == 1


def test_a_crash_between_the_two_renames_leaves_the_previous(tmp_path):
    checkpoints.save(tmp_path, {"epoch": 1})
    (tmp_path / "state.pt").replace(tmp_path / "state.previous.pt")
    (tmp_path / "state.new.pt").write_bytes(b"half")
    assert checkpoints.load(tmp_path)["epoch"] == 1
    checkpoints.save(tmp_path, {"epoch": 2})
    assert checkpoints.load(tmp_path)["epoch"] == 2
