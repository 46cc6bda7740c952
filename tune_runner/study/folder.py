"""Folder of a study: its files, the lock of its driver, its description and identity."""

import fcntl
import json
import os
import shlex
import shutil
import socket
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from diffrec.errors import UserError, did_you_mean
from diffrec.files import atomic_write, read_regular

SUMMARY = "study.json"
SPENT = "spent"
"""Part of the description: what the study has spent (`tune_runner.resources.spending`)."""

IDENTITY = "study.id"
LOCK = "driver.lock"
OUTPUT = "driver.log"
"""Output of the drivers that were started from Python."""

_FILES = (SUMMARY, IDENTITY, LOCK, OUTPUT, "study.log", "tracking.jsonl", "tracking.mark")


class StudyFolder:
    """Folder `runs/<study>/` with journal, description and checkpoints, locked by one driver."""

    def __init__(self, runs_dir: Path, name: str) -> None:
        self.path = runs_dir.resolve() / name
        self._runs_dir, self._name = runs_dir, name
        self._lock: int | None = None
        self._created_folders: list[Path] = []

    @property
    def storage_url(self) -> str:
        """URL of the journal in which Optuna keeps the study."""
        return f"journal://{self.path / 'study.log'}"

    @property
    def checkpoints(self) -> Path:
        """Folder of the trials' checkpoints."""
        return self.path / "checkpoints"

    @property
    def outbox(self) -> Path:
        """File of the messages for MLflow, sent and unsent."""
        return self.path / "tracking.jsonl"

    @property
    def ray(self) -> Path:
        """Folder of Ray Tune's own files, which are never read again."""
        return self.path / "ray"

    def exists(self) -> bool:
        """Return whether a study was started here."""
        return (self.path / SUMMARY).exists()

    def read(self) -> dict[str, Any]:
        """Return the description of the study.

        Raises:
            UserError: there is no such study, or its description is damaged.
        """
        if not self.exists():
            parent = self.path.parent
            studies = sorted(p.parent.name for p in parent.glob(f"*/{SUMMARY}"))
            raise UserError(
                f"No study named {self.path.name!r} in {parent}"
                f"{did_you_mean(self.path.name, studies)}."
            )
        try:
            description = json.loads(read_regular(self.path / SUMMARY, "a study's description"))
        except (ValueError, RecursionError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"{self.path / SUMMARY} is damaged ({str(error).splitlines()[0]}); restore it from "
                "a copy."
            ) from None
        if not isinstance(description, dict):
            raise UserError(
                f"{self.path / SUMMARY} is damaged (it holds a {type(description).__name__}); "
                "restore it from a copy."
            )
        return description

    @property
    def resume_command(self) -> str:
        """Command that resumes the study, quoted for a shell."""
        name = shlex.quote(self._name)
        resume = f"--resume={name}" if self._name.startswith("-") else f"--resume {name}"
        runs = str(self._runs_dir)
        runs_dir_flag = "" if runs == "runs" else f" --runs-dir {shlex.quote(runs)}"
        return f"python -m tune_runner {resume}{runs_dir_flag}"

    def identity(self) -> str:
        """Return the id that distinguishes studies of one name; "" if the folder is not here."""
        path = self.path / IDENTITY
        return path.read_text().strip() if path.exists() else ""

    def begin(self) -> None:
        """Give a new study its identity; check that a resumed one still has it.

        Raises:
            UserError: the file that holds it is gone.
        """
        if not self.exists():
            (self.path / IDENTITY).write_text(f"{uuid.uuid4().hex}\n")
        elif not self.identity():
            raise UserError(
                f"{self.path / IDENTITY} is missing, which distinguishes study {self._name!r} from "
                "others of its name; restore it from a copy, or choose another --name."
            )

    def driver(self) -> tuple[int, str]:
        """Return process id and host of the last driver; (0, "") if none wrote them."""
        path = self.path / LOCK
        number, _, host = (path.read_text() if path.exists() else "").strip().partition(" ")
        return (int(number), host) if number.isdecimal() else (0, "")

    def is_gone(self) -> bool:
        """Return whether the folder that this driver has locked was removed or replaced."""
        if self._lock is None:
            return not self.path.exists()
        try:
            current = (self.path / LOCK).stat()
        except OSError:
            return True
        locked = os.fstat(self._lock)
        return (current.st_dev, current.st_ino) != (locked.st_dev, locked.st_ino)

    def discard(self) -> None:
        """Remove the folder of a study that did not begin, and the folders made for it."""
        if self.path in self._created_folders:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            for path in (self.path / name for name in _FILES):
                path.unlink(missing_ok=True)
            for folder in (self.checkpoints, self.ray):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self._created_folders:
            with suppress(OSError):  # another study's folder lies in it
                folder.rmdir()

    def clear_remains(self) -> None:
        """Remove what late writers, such as Ray's last snapshot, made in a folder that is gone."""
        if (self.path / LOCK).exists():  # another study is in its place
            return
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
        for folder in (self.checkpoints, self.ray):
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # something that is not ours lies in it
            self.path.rmdir()

    def write(self, summary: Mapping[str, Any]) -> None:
        """Write the description of the study, whole or not at all; what was spent stays."""
        if SPENT not in summary and self.exists() and SPENT in (old := self.read()):
            summary = {**summary, SPENT: old[SPENT]}
        content = json.dumps(summary, indent=2, sort_keys=True) + "\n"
        atomic_write(self.path / SUMMARY, content)

    def write_spent(self, spent: Mapping[str, Any]) -> None:
        """Write what the study has spent into its description."""
        self.write({**self.read(), SPENT: dict(spent)})

    def __enter__(self) -> Self:
        """Lock the study for this driver; the kernel releases the lock when a driver dies.

        Raises:
            UserError: another driver is at work, or the folder cannot be written.
        """
        self._created_folders = [p for p in (self.path, *self.path.parents) if not p.exists()]
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(
                f"The study's folder {self.path} cannot be written ({error.strerror}); "
                "choose another --runs-dir."
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its time tells `--status` when this driver began; its content, whom to interrupt.
            os.truncate(self._lock, 0)
            os.write(self._lock, f"{os.getpid()} {socket.gethostname()}\n".encode())
        except BlockingIOError:
            os.close(self._lock)
            raise UserError(
                f"Study {self.path.name!r} is being run by another process; wait for it or stop it."
            ) from None
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._lock is not None:
            os.close(self._lock)  # which releases the lock
            self._lock = None


def json_diff(old: Any, new: Any, path: str = "") -> list[str]:
    """Return what changed between two JSON values, a phrase for each place."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            line
            for key in keys
            for line in json_diff(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        ]
    return [] if old == new else [f"{path} was {json.dumps(old)}, is {json.dumps(new)}"]


def to_json(value: Any) -> Any:
    """Return a value as JSON gives it back: tuples become lists, keys text."""
    return json.loads(json.dumps(value))
