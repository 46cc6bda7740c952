"""Ctrl-C and SIGTERM while trials run: acknowledged at once, obeyed between two steps of Tune."""

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any, Self

_CAUSES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

_OWN_HANDLER = "TUNE_DISABLE_SIGINT_HANDLER"
"""Ray's variable: "1" leaves SIGINT to us, since Tune would take it and say nothing."""


class StopSignals:
    """Context in which SIGINT and SIGTERM are noted, and acknowledged from a thread.

    A handler must not print: it may have interrupted a print of the same stream. The second SIGINT
    raises KeyboardInterrupt.
    """

    def __init__(self, acknowledge: Callable[[str], None]) -> None:
        """Prepare; nothing is installed yet.

        Args:
            acknowledge: called once, in another thread, with what asked for the stop.
        """
        self._acknowledge = acknowledge
        self._causes: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._wait, name="stop-signals", daemon=True)
        self._before: dict[signal.Signals, Any] = {}
        self.is_requested = False
        """True once a stop was asked for."""

    def __enter__(self) -> Self:
        os.environ[_OWN_HANDLER] = "1"
        self._thread.start()
        self._before = {number: signal.signal(number, self._handle) for number in _CAUSES}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._causes.put(None)
        self._thread.join()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_requested:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.is_requested = True
        self._causes.put(_CAUSES[signal.Signals(number)])

    def _wait(self) -> None:
        cause = self._causes.get()
        if cause is not None:
            self._acknowledge(cause)
