"""Decorator of the controller's methods: a full disk stops the study, and fails no trial."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])


def stop_study_on_disk_error(default: Any) -> Callable[[_Method], _Method]:
    """Decorator: stop the study cleanly when the disk is full, instead of failing trial by trial.

    Ray Tune would count the exception as the trial's.

    Args:
        default: what the method then returns.
    """

    def wrap(method: _Method) -> _Method:
        @wraps(method)
        def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except OSError as error:
                file = f" ({error.filename})" if error.filename else ""
                self.stop(f"{error.strerror or error}{file}")
                return default

        return guarded  # type: ignore[return-value]

    return wrap
