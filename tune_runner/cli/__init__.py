"""The command line of `python -m tune_runner`: arguments, and what is done with them."""

from tune_runner.cli.main import main

__all__ = ["main"]
