"""Keeps Ray's files on this machine private, and removes those of studies that have ended.

Ray lets everybody write its session folders, and its workers import code from there; its token is a
file that everybody can read. So sessions lie below a folder of mode 0700, and the token has 0600.
A session is locked as long as its driver lives: the kernel unlocks it however the driver ends.
"""

import atexit
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffrec.errors import UserError

_SOCKET_BYTES = 107
"""Longest path of an AF_UNIX socket on Linux."""

_LONGEST_SOCKET = "/session_2026-11-28_12-22-27_563199_4194304/sockets/plasma_store.12"


def private_folder() -> Path:
    """Return the folder that Ray's session folders go to, below one that only this user enters.

    It is under `RAY_TMPDIR`, or else the system's folder for temporary files, and /tmp where that
    one's path is too long for Ray's sockets.

    Raises:
        UserError: it cannot be made, or belongs to another user, or others could write to it.
    """
    chosen = os.environ.get("RAY_TMPDIR")
    below = Path(chosen or tempfile.gettempdir()).absolute()
    guard = below / f"diffrec-{os.geteuid()}"
    if not _fits(guard / "ray"):
        if chosen:
            raise UserError(
                f"RAY_TMPDIR must be short enough for the {_SOCKET_BYTES} bytes of a socket's "
                f"path, but got {chosen!r}; give a shorter one."
            )
        guard = Path("/tmp", guard.name)
    try:
        guard.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            guard.mkdir(mode=0o700)
        _check_own(guard)
        (guard / "ray").mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Ray's files must have a folder, but {guard} cannot be made or used "
            f"({error.strerror}); set RAY_TMPDIR to another place."
        ) from None
    return guard / "ray"


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder)) + len(_LONGEST_SOCKET) <= _SOCKET_BYTES


def _check_own(guard: Path) -> None:
    """Refuse a folder that another user made, or could have filled; take away others' rights."""
    status = guard.lstat()  # of a link itself: it may lead anywhere
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_own or status.st_mode & 0o022:
        reason = "others may write to it" if is_own else "it is another user's, a link or a file"
        raise UserError(
            f"Ray's files must lie in a folder of this user's alone, but {guard} is not one "
            f"({reason}); remove it, or set RAY_TMPDIR to another place."
        )
    if stat.S_IMODE(status.st_mode) != 0o700:
        guard.chmod(0o700)


@contextmanager
def starting(folder: Path) -> Iterator[None]:
    """Remove the sessions in `folder` whose drivers are gone; none is removed inside the context.

    Inside it a session may exist that its driver has not locked yet.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _lock(handle):  # otherwise another driver is inside: the next start removes them
            _remove_ended(folder)
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def remove_at_exit(session: Path, end_ray: Callable[[], None]) -> None:
    """Lock a session as this process's, and remove it when the process ends.

    Args:
        session: Ray's folder.
        end_ray: disconnects, and ends the processes that write there.
    """
    handle, owner = os.open(session, os.O_RDONLY | os.O_DIRECTORY), os.getpid()
    fcntl.flock(handle, fcntl.LOCK_EX)

    def end() -> None:
        if os.getpid() == owner:  # not in a fork
            end_ray()
            _remove(session)

    atexit.register(end)


def _remove_ended(folder: Path) -> None:
    for session in folder.glob("session_*"):
        if session.is_symlink() or not session.is_dir():
            continue
        handle = os.open(session, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _lock(handle):
                _remove(session)
        finally:
            os.close(handle)


def _remove(session: Path) -> None:
    shutil.rmtree(session, ignore_errors=True)
    for link in session.parent.iterdir():
        if link.is_symlink() and not link.exists():  # Ray would never renew it
            link.unlink(missing_ok=True)


def _lock(handle: int) -> bool:
    """Lock an open folder; return False if another process has locked it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def protect_token() -> None:
    """Make the file of Ray's token, if there is none, and keep it from being read by others.

    Nothing is done if Ray asks for no token, or has it from a variable.

    Raises:
        UserError: the file belongs to another user, who then could run code here, or cannot be
            made.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    if mode.lower() != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    token_path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(token_path) if token_path else Path.home() / ".ray" / "auth_token"
    try:
        if not path.exists():
            _make_token(path)
        status = path.stat()
        if status.st_uid not in (0, os.geteuid()):
            raise UserError(
                f"Ray's token must be a file of this user's, but {path} is another user's; remove "
                "it, or set RAY_AUTH_TOKEN_PATH to another file."
            )
        if status.st_uid == os.geteuid() and stat.S_ISREG(status.st_mode):
            path.chmod(0o600)  # one of root's is mounted, and read-only
    except OSError as error:
        raise UserError(
            f"Ray's token must be a file of this user's, but {path} cannot be made or changed "
            f"({error.strerror}); set RAY_AUTH_TOKEN_PATH to another file."
        ) from None


def _make_token(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{secrets.token_hex(8)}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))  # as Ray's own
        with suppress(FileExistsError):  # another start was faster: its token counts
            os.link(new, path)
    finally:
        new.unlink()
