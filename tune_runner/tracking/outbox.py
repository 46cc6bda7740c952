"""Transactional outbox for MLflow, on disk; ours, since MLflow's own async queue is in memory.

Each message is one line of JSON. The study never waits for MLflow. After a crash the next driver
sends what the mark does not cover; every message may be sent twice without harm.
"""

import errno
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diffrec.files import atomic_write
from tune_runner.events import RecordedTrials

Message = dict[str, Any]


class Outbox:
    """Append-only file of messages, with a mark: how many bytes of it were delivered."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = path.with_suffix(".mark")
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+", buffering=0)
        self._cut_torn_line()

    def append(self, message: Mapping[str, Any]) -> int:
        """Append a message; return the byte at which it ends.

        Raises:
            OSError: the disk is full; nothing of the message is left behind.
        """
        line = json.dumps(message).encode() + b"\n"
        with self._lock:  # the thread that watches the cluster may end the study
            start = self._file.seek(0, os.SEEK_END)
            try:
                written = self._file.write(line)
                if written != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            except OSError:
                self._file.truncate(start)
                raise
            return start + len(line)

    def delivered(self) -> int:
        """Return the byte up to which the messages were delivered."""
        if not self._mark.exists():
            return 0
        text = self._mark.read_text().strip()
        # A mark beyond the end, or none that can be read, means: send all again, which does no harm
        return int(text) if text.isdigit() and int(text) <= self._file.tell() else 0

    def mark_delivered(self, end: int) -> None:
        """Record that all bytes up to `end` were delivered."""
        atomic_write(self._mark, str(end))

    def messages(self, start: int = 0) -> Iterator[tuple[Message, int]]:
        """Yield the messages from byte `start` on, each with its end."""
        with self._path.open("rb") as file:
            file.seek(start)
            for line in file:
                yield json.loads(line), (start := start + len(line))

    def recorded_trials(self) -> RecordedTrials:
        """Return what drivers have recorded of trials, delivered or not."""
        started: set[int] = set()
        ended: dict[int, str] = {}
        unsettled: set[int] = set()
        last_end: int | None = None
        for message, _ in self.messages():
            kind = message["what"]
            if kind == "start":
                started.add(message["trial"])
                ended.pop(message["trial"], None)
            elif kind == "end":
                last_end = int(message["trial"])
                ended[last_end] = message["state"]
            elif kind == "study" and last_end is not None:  # of the driver before
                unsettled.add(last_end)
        if last_end is not None:
            unsettled.add(last_end)
        return RecordedTrials(frozenset(started), ended, frozenset(unsettled))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _cut_torn_line(self) -> None:
        """Cut off a half-written last line, left by a crash."""
        self._file.seek(0)
        text = self._file.read()
        if not text.endswith(b"\n"):
            self._file.truncate(text.rfind(b"\n") + 1)
        self._file.seek(0, os.SEEK_END)
