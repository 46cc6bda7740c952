"""Patience with an object store over a bad network: a failed request is made again."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 300.0
"""How long a worker waits for its store to answer again; the same as for the study's database."""

FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0

_Result = TypeVar("_Result")


class ShortReadError(OSError):
    """Raised if a store sent less of a file than it has."""


def retry_store(
    act: Callable[[], _Result],
    patience_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> _Result:
    """Return what `act` returns; call it again while the store fails.

    A file that is missing is an answer, and an error of this machine (it has an errno: a full disk)
    would be the same again: neither is retried.

    Args:
        act: one or more requests, without harm if made twice.
        patience_seconds: how long to try; 0: once.
        clock: seconds of a clock that never goes back.
        pause: waits so many seconds.

    Raises:
        OSError: the last failure, once the patience is over.
    """
    deadline, seconds = clock() + patience_seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return act()
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno is not None or clock() >= deadline:
                raise
            logger.warning("The store of checkpoints fails; trying again: %s", error)
            pause(seconds)
            seconds = min(2 * seconds, _LONGEST_PAUSE_SECONDS)
