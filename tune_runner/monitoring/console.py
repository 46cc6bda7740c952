"""Output of the command: lines on standard output, errors on standard error, flushed at once.

No URL is printed with its password: a library may name one in the reason of an error.
"""

import sys

from diffrec.credentials import without_secrets


def print_line(text: str) -> None:
    """Print a text and a line break."""
    sys.stdout.write(without_secrets(text) + "\n")
    sys.stdout.flush()


def print_step(step: str) -> None:
    """Print what the command is waiting for: a start may take a minute on a busy machine."""
    print_line(f"start     {step}")


def print_error(text: str) -> None:
    """Print an error after everything that was printed before it."""
    sys.stdout.flush()
    sys.stderr.write(f"error: {without_secrets(text)}\n")
    sys.stderr.flush()
