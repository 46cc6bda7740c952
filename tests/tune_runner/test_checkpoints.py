"""A checkpoint survives a crash at any moment of its writing, and a worker that was given up."""

import pytest
import torch

from diffrec.errors import UserError
from tune_runner import checkpoints


@pytest.fixture
def mine(tmp_path):
    """A claim on the test's folder."""
    return checkpoints.claim(tmp_path)


def names(folder):
    """Files of a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_state_comes_back_and_only_one_file_stays(tmp_path):
    folder = tmp_path / "trial"
    claimed = checkpoints.claim(folder)
    assert checkpoints.load(folder) is None
    for epoch in (1, 2):
        checkpoints.save(folder, {"epoch": epoch, "weights": torch.ones(3)}, claimed=claimed)
    assert checkpoints.load(folder)["epoch"] == 2
    assert names(folder) == ["claim", "state.pt"]


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_file_that_cannot_be_read_yields_to_the_one_before(tmp_path, mine, damage):
    checkpoints.save(tmp_path, {"epoch": 1}, claimed=mine)
    good = (tmp_path / "state.pt").read_bytes()
    (tmp_path / "state.previous.pt").write_bytes(good)
    (tmp_path / "state.pt").write_bytes(good[: len(good) // 2] if damage is None else damage)
    assert checkpoints.load(tmp_path)["epoch"] == 1


def test_a_crash_between_the_two_renames_leaves_the_previous(tmp_path, mine):
    checkpoints.save(tmp_path, {"epoch": 1}, claimed=mine)
    (tmp_path / "state.pt").replace(tmp_path / "state.previous.pt")
    (tmp_path / f"state.{mine}.new").write_bytes(b"half")
    again = checkpoints.claim(tmp_path)
    assert checkpoints.load(tmp_path)["epoch"] == 1
    checkpoints.save(tmp_path, {"epoch": 2}, claimed=again)
    assert checkpoints.load(tmp_path)["epoch"] == 2
    assert names(tmp_path) == ["claim", "state.pt"]


def test_a_worker_that_was_given_up_cannot_write_over_its_successor(tmp_path, mine):
    checkpoints.save(tmp_path, {"epoch": 1}, claimed=mine)
    successor = checkpoints.claim(tmp_path)
    checkpoints.save(tmp_path, {"epoch": 5}, claimed=successor)
    with pytest.raises(checkpoints.TakenOverError):
        checkpoints.save(tmp_path, {"epoch": 2}, claimed=mine)
    assert checkpoints.load(tmp_path)["epoch"] == 5


def test_a_trial_that_has_ended_is_not_written_again(tmp_path):
    folder = tmp_path / "trial"
    claimed = checkpoints.claim(folder)
    (folder / "claim").unlink()
    folder.rmdir()
    with pytest.raises(checkpoints.TakenOverError):
        checkpoints.save(folder, {"epoch": 1}, claimed=claimed)


def test_a_node_without_the_studys_folder_says_so(tmp_path):
    with pytest.raises(UserError, match="give a --runs-dir that all nodes share"):
        checkpoints.claim(tmp_path / "elsewhere" / "trial_0001")
