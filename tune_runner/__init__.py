"""Runs a search space as a study: Optuna samples, Ray runs the trials, MLflow records them.

From Python: `run_study` starts a study in a process of its own, `load_study` opens one that exists.
Importing this package imports none of the three; each is loaded when a study starts.
Begin reading with `runner`, then `trials.controller`.
"""

TYPE_CHECKING = False  # as type checkers know it: importing `typing` would cost ten times the rest
if TYPE_CHECKING:
    from tune_runner.api.handle import StudyHandle
    from tune_runner.api.launch import load_study, run_study
    from tune_runner.api.process import StudyError
    from tune_runner.registration import Registration, register

__all__ = ["Registration", "StudyError", "StudyHandle", "load_study", "register", "run_study"]

_MODULES = {
    "Registration": "tune_runner.registration",
    "StudyError": "tune_runner.api.process",
    "StudyHandle": "tune_runner.api.handle",
    "load_study": "tune_runner.api.launch",
    "register": "tune_runner.registration",
    "run_study": "tune_runner.api.launch",
}


def __dir__() -> list[str]:
    """Return the names of the package, those that are not imported yet included."""
    return sorted({*globals(), *_MODULES})


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: importing this package alone imports nothing."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
