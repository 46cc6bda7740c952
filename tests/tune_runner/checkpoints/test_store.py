"""A checkpoint survives a crash at any moment of its writing, and a worker that was given up.

The same contract holds in a folder and in an object store, on a real server that speaks S3.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch

from diffrec.errors import UserError
from servers import s3
from tune_runner.checkpoints import files, locations
from tune_runner.checkpoints import store as stores
from tune_runner.checkpoints.locations import STATE, trial_location
from tune_runner.checkpoints.store import CheckpointStore, ClaimLostError, remove_trials
from tune_runner.worker.clustering_cache import ClusteringCache


@pytest.fixture(scope="module")
def store():
    """URL of a path in an object store."""
    with pytest.MonkeyPatch.context() as patch, s3() as url:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        yield url


@pytest.fixture(params=["folder", "store"])
def base(request, tmp_path):
    """Where a study keeps its checkpoints."""
    if request.param == "folder":
        return str(tmp_path)
    return locations.join_location(request.getfixturevalue("store"), uuid4().hex)


@pytest.fixture
def checkpoint_store(base):
    """Where trial 7 keeps its own."""
    return CheckpointStore(trial_location(base, 7))


@pytest.fixture
def folder(tmp_path):
    """A trial's place in a folder, and the folder."""
    return CheckpointStore(str(tmp_path)), tmp_path


def loaded(checkpoint_store):
    """The newest state that can be read."""
    return files.load(checkpoint_store)


def names(path):
    """Files of a folder."""
    return sorted(file.name for file in path.iterdir())


def test_the_newest_state_comes_back(checkpoint_store):
    token = checkpoint_store.claim()
    assert files.load(checkpoint_store) is None
    for epoch in (1, 2):
        files.save(checkpoint_store, {"epoch": epoch, "weights": torch.ones(3)}, token=token)
    state = loaded(checkpoint_store)
    assert state["epoch"] == 2
    assert torch.equal(state["weights"], torch.ones(3))


def test_a_worker_that_was_given_up_cannot_write_over_its_successor(checkpoint_store):
    mine = checkpoint_store.claim()
    files.save(checkpoint_store, {"epoch": 1}, token=mine)
    successor = checkpoint_store.claim()
    files.save(checkpoint_store, {"epoch": 5}, token=successor)
    with pytest.raises(ClaimLostError):
        files.save(checkpoint_store, {"epoch": 2}, token=mine)
    with pytest.raises(ClaimLostError):
        checkpoint_store.check(mine)
    checkpoint_store.check(successor)
    assert loaded(checkpoint_store)["epoch"] == 5


def test_a_trial_that_has_ended_is_not_written_again(base, checkpoint_store):
    token = checkpoint_store.claim()
    other = CheckpointStore(trial_location(base, 8))
    other_token = other.claim()
    for saved, name in ((checkpoint_store, token), (other, other_token)):
        files.save(saved, {"epoch": 1}, token=name)
    stores.remove_trials(base, {7, 9})
    with pytest.raises(ClaimLostError):
        files.save(checkpoint_store, {"epoch": 2}, token=token)
    assert files.load(checkpoint_store) is None
    other.check(other_token)
    assert loaded(other)["epoch"] == 1


def test_what_a_store_holds_is_listed_and_brought_here(store, tmp_path):
    base = locations.join_location(store, "listed")
    assert stores.list_trials(base) == set()
    for number in (3, 12):
        checkpoint_store = CheckpointStore(trial_location(base, number))
        files.save(checkpoint_store, {"epoch": number}, token=checkpoint_store.claim())
    assert stores.list_trials(base) == {3, 12}
    path = stores.download(base, 12, tmp_path)
    assert path == tmp_path / "trial_0012" / STATE
    assert torch.load(path)["epoch"] == 12
    assert names(path.parent) == [STATE]
    assert stores.download(base, 4, tmp_path) is None
    assert stores.write_error(store) == ""


def test_an_error_while_a_state_is_written_leaves_the_one_before(checkpoint_store):
    def break_off(file):
        file.write(b"half")
        raise OSError("no more room")

    token = checkpoint_store.claim()
    files.save(checkpoint_store, {"epoch": 1}, token=token)
    with pytest.raises(OSError, match="no more room"):
        checkpoint_store.save(break_off, token)
    assert loaded(checkpoint_store)["epoch"] == 1


def test_only_one_file_stays(folder):
    checkpoint_store, path = folder
    token = checkpoint_store.claim()
    for epoch in (1, 2):
        files.save(checkpoint_store, {"epoch": epoch}, token=token)
    assert names(path) == ["claim", STATE]


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_file_that_cannot_be_read_is_reported_and_the_trial_starts_anew(folder, damage, caplog):
    checkpoint_store, path = folder
    files.save(checkpoint_store, {"epoch": 1}, token=checkpoint_store.claim())
    good = (path / STATE).read_bytes()
    (path / STATE).write_bytes(good[: len(good) // 2] if damage is None else damage)
    assert files.load(checkpoint_store) is None
    assert "the trial starts anew" in caplog.text


def test_a_writer_that_was_killed_leaves_the_state_before_and_no_rest(folder):
    checkpoint_store, path = folder
    saver = f"""
import os
from tune_runner.checkpoints.store import CheckpointStore

def dump(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)

place = CheckpointStore({str(path)!r})
place.save(dump, place.claim())
"""
    files.save(checkpoint_store, {"epoch": 1}, token=checkpoint_store.claim())
    assert subprocess.run([sys.executable, "-c", saver], check=False).returncode == -9
    assert len(names(path)) == 3  # with half a file
    new_token = checkpoint_store.claim()
    assert names(path) == ["claim", STATE]
    assert loaded(checkpoint_store)["epoch"] == 1
    files.save(checkpoint_store, {"epoch": 2}, token=new_token)
    assert loaded(checkpoint_store)["epoch"] == 2
    assert names(path) == ["claim", STATE]


def test_a_trial_whose_folder_is_gone_is_not_written_again(folder):
    checkpoint_store, path = folder
    token = checkpoint_store.claim()
    shutil.rmtree(path)
    with pytest.raises(ClaimLostError):
        files.save(checkpoint_store, {"epoch": 1}, token=token)


def test_a_node_without_the_studys_folder_says_so(tmp_path):
    with pytest.raises(UserError, match="give a --runs-dir that all nodes share"):
        CheckpointStore(str(Path(tmp_path) / "elsewhere" / "trial_0001")).claim()


def test_clusterings_are_shared_beside_the_checkpoints(base):
    labels = np.array([0, 2, 1, 2])
    ClusteringCache(base).save("kmeans-3-x", labels)
    other = ClusteringCache(base)
    np.testing.assert_array_equal(other.load("kmeans-3-x"), labels)
    assert other.load("kmeans-4-x") is None
    remove_trials(base, {7})
    assert other.load("kmeans-3-x") is not None


def test_a_clustering_that_cannot_be_read_or_kept_is_no_accident(tmp_path, caplog):
    shared = ClusteringCache(str(tmp_path))
    shared.save("x", np.array([0, 1]))
    (tmp_path / "clusterings/x.npy").write_bytes(b"torn")
    assert shared.load("x") is None
    assert "it is made again" in caplog.text
    ClusteringCache(str(tmp_path / "missing")).save("x", np.array([0, 1]))
    assert "cannot be kept" in caplog.text
