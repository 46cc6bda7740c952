"""Command line of `python -m tune_runner`: arguments, and the command that they select.

No Ray, Optuna or MLflow is imported here: `--help` answers at once.
Begin reading with `main`.
"""

from tune_runner.cli.main import main

__all__ = ["main"]
