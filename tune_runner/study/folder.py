"""Where a study lies on disk, who is driving it, and whether it is still the same study."""

import fcntl
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from diffrec.errors import UserError, did_you_mean

SUMMARY = "study.json"
IDENTITY = "study.id"


class StudyFolder:
    """`runs/<study>/`: the journal, what the study is, checkpoints; locked by its one driver."""

    def __init__(self, runs_dir: Path, name: str) -> None:
        self.path = runs_dir.resolve() / name
        self._lock: int | None = None

    @property
    def storage_url(self) -> str:
        """Where Optuna keeps the study."""
        return f"journal://{self.path / 'study.log'}"

    @property
    def checkpoints(self) -> Path:
        """Folder of the trials' checkpoints."""
        return self.path / "checkpoints"

    @property
    def outbox(self) -> Path:
        """What was or is to be told to MLflow."""
        return self.path / "tracking.jsonl"

    @property
    def ray(self) -> Path:
        """Tune's own folder; nothing in it is ever read again."""
        return self.path / "ray"

    def exists(self) -> bool:
        """Say whether a study was begun here."""
        return (self.path / SUMMARY).exists()

    def read(self) -> dict[str, Any]:
        """Return what the study is.

        Raises:
            UserError: there is no such study, or its description is damaged.
        """
        if not self.exists():
            parent = self.path.parent
            known = sorted(p.parent.name for p in parent.glob(f"*/{SUMMARY}"))
            raise UserError(
                f"No study named {self.path.name!r} in {parent}"
                f"{did_you_mean(self.path.name, known)}."
            )
        try:
            return json.loads((self.path / SUMMARY).read_text())
        except ValueError as error:
            raise UserError(
                f"{self.path / SUMMARY} is damaged ({error}); restore it from a copy."
            ) from None

    def identity(self) -> str:
        """Return what tells the study from others of its name; "" if an older version began it."""
        path = self.path / IDENTITY
        return path.read_text().strip() if path.exists() else ""

    def begin(self) -> None:
        """Give a new study its identity."""
        if not self.exists() and not self.identity():
            (self.path / IDENTITY).write_text(f"{uuid.uuid4().hex}\n")

    def write(self, summary: Mapping[str, Any]) -> None:
        """Keep what the study is, whole or not at all."""
        new = self.path / f"{SUMMARY}.new"
        new.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
        new.replace(self.path / SUMMARY)

    def __enter__(self) -> Self:
        """Become the study's one driver; a dead driver's lock is gone with it.

        Raises:
            UserError: another driver is at work, or the folder cannot be written.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "driver.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(
                f"The study's folder {self.path} cannot be written ({error.strerror}); "
                "choose another --runs-dir."
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
