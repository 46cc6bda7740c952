"""Ray's files on this machine: this user's alone, and gone when their study has ended."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from diffrec.errors import UserError
from tune_runner.execution import ray_files

SOCKET = "session_2026-11-28_12-22-27_563199_4194304/sockets/plasma_store"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's folder for temporary files; short, as sockets need it."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(ray_files, "_SOCKET_BYTES", 400)
    return tmp_path


@pytest.fixture
def token(tmp_path, monkeypatch):
    """Where the token's file is; there is none yet."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ray" / "auth_token"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_sessions_lie_below_a_folder_of_this_user_alone(temporary, umask):
    before = os.umask(umask)
    try:
        folder = ray_files.private_folder()
    finally:
        os.umask(before)
    assert folder.parent.parent == temporary
    assert mode(folder.parent) == 0o700
    assert folder == ray_files.private_folder()


def test_rights_of_others_that_changed_nothing_are_taken_away(temporary):
    guard = ray_files.private_folder().parent
    guard.chmod(0o755)
    ray_files.private_folder()
    assert mode(guard) == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "open", "another's"])
def test_a_folder_that_another_user_may_have_filled_is_refused(temporary, kind):
    guard = temporary / f"diffrec-{os.geteuid()}"
    if kind == "link":
        (temporary / "elsewhere").mkdir(mode=0o700)
        guard.symlink_to(temporary / "elsewhere")
    elif kind == "file":
        guard.touch()
    else:
        guard.mkdir()
        guard.chmod(0o777)
    if kind == "another's":
        if os.geteuid() != 0:
            pytest.skip("giving a folder away needs root")
        guard.chmod(0o700)
        os.chown(guard, 12345, -1)
    with pytest.raises(UserError, match=f"{guard} is not one .*; remove it, or set RAY_TMPDIR"):
        ray_files.private_folder()


def test_paths_are_short_enough_for_sockets(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 60)
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    with pytest.raises(UserError, match="RAY_TMPDIR must be short enough"):
        ray_files.private_folder()
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(long))  # the user chose no place
    assert len(str(ray_files.private_folder() / SOCKET)) <= 107
    assert not long.exists()


def test_a_place_that_cannot_be_made_is_refused(temporary, monkeypatch):
    (temporary / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(temporary / "file"))
    with pytest.raises(UserError, match=r"cannot be made or used .*; set RAY_TMPDIR"):
        ray_files.private_folder()


def test_sessions_of_ended_drivers_are_removed_and_no_others(temporary):
    folder = ray_files.private_folder()
    ended, alive, other = (folder / n for n in ("session_1_11", "session_2_22", "kept"))
    for one in (ended, alive, other):
        (one / "logs").mkdir(parents=True)
    (folder / "session_latest").symlink_to(ended)
    handle = os.open(alive, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # as its driver holds it
    with ray_files.starting(folder):
        assert sorted(folder.iterdir()) == [other, alive]
        ended.mkdir()  # of a driver that has not locked it yet
        with ray_files.starting(folder):
            assert ended.exists()
    os.close(handle)
    with ray_files.starting(folder):
        assert list(folder.iterdir()) == [other]


@pytest.mark.parametrize("umask", [0o000, 0o022])
@pytest.mark.parametrize("named", [False, True])
def test_the_token_is_readable_by_its_user_alone(token, tmp_path, monkeypatch, umask, named):
    if named:
        token = tmp_path / "mine" / "token"
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    before = os.umask(umask)
    try:
        ray_files.protect_token()
    finally:
        os.umask(before)
    text = token.read_text()
    assert len(text) == 64
    assert (mode(token), mode(token.parent)) == (0o600, 0o700)
    assert list(token.parent.iterdir()) == [token]
    token.chmod(0o644)  # as Ray leaves one
    ray_files.protect_token()
    assert mode(token) == 0o600
    assert token.read_text() == text


@pytest.mark.parametrize(
    "variable", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "0" * 64}], ids=str
)
def test_no_token_is_made_where_ray_needs_none(token, monkeypatch, variable):
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    ray_files.protect_token()
    assert not token.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_token_of_another_user_is_refused(token):
    ray_files.protect_token()
    os.chown(token, 12345, -1)
    with pytest.raises(UserError, match="is another user's; remove it, or set RAY_AUTH_TOKEN_PATH"):
        ray_files.protect_token()


def test_a_token_that_cannot_be_made_is_refused(token, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(Path(tmp_path, "file", "token")))
    with pytest.raises(UserError, match="set RAY_AUTH_TOKEN_PATH to another file"):
        ray_files.protect_token()
