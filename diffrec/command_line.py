"""Command line of the three programs: parser, number types, errors as one sentence."""

import argparse
import io
import math
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Literal, NoReturn, TypeVar

from diffrec.credentials import without_secrets
from diffrec.errors import UserError
from diffrec.files import full_disk, is_full_disk
from diffrec.terminal import write_lines

FAULT, INTERRUPTED = 2, 130
"""Exit codes: of an error of the user or the environment, and of Ctrl-C."""

COUNT_LIMIT, SEED_LIMIT = 10**9, 2**31 - 1
"""Largest count and seed that a flag takes."""

_SHOWN = 60
"""Characters of a refused value that are shown."""

_SERVICE_ERRORS = (
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("optuna.exceptions", "StorageInternalError"),
    ("mlflow.exceptions", "MlflowException"),
)
"""Exceptions of a database or server that fails, by module: looked up among
the loaded modules, since this package imports none of them."""

Number = TypeVar("Number", int, float)


Example = tuple[str, str]
"""(task, command that does it), shown at the end of --help."""

_INDENTED = re.compile(r" +(\S+ {2,})?")


class HelpFormatter(argparse.HelpFormatter):
    """Formatter that wraps at spaces alone, and keeps indented lines apart.

    A flag is never broken at its hyphens, nor a command at all.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        for paragraph in text.split("\n"):
            start = _INDENTED.match(paragraph)
            if start is None:
                lines += _wrap(paragraph, width) or [""]
            elif paragraph.lstrip().startswith("python -m "):
                # A backslash lets a shell read both lines as one command.
                lines.append(" \\\n".join(_wrap(paragraph, width - 2, hang=start.end() + 4)))
            else:
                lines += _wrap(paragraph, width, hang=start.end())
        return "\n".join(indent + line for line in lines)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # As Python 3.13 has it: the value is named once, behind all names of a flag.
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        default = self._get_default_metavar_for_optional(action)
        return f"{', '.join(action.option_strings)} {self._format_args(action, default)}"

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrap(" ".join(text.split()), width)


def _wrap(text: str, width: int, *, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


class CliParser(argparse.ArgumentParser):
    """Argument parser whose errors are one sentence, without the usage."""

    def __init__(
        self, *, examples: Sequence[Example] = (), epilog: str | None = None, **settings: Any
    ) -> None:
        """Take argparse's own settings, and examples by task.

        Args:
            examples: shown below the arguments, before the epilog.
            epilog: further text.
            settings: of argparse.
        """
        shown = [f"  {task}\n    {command}" for task, command in examples]
        parts = ["\n".join(["examples:", *shown]) if shown else None, epilog]
        settings.setdefault("formatter_class", HelpFormatter)
        super().__init__(epilog="\n\n".join(filter(None, parts)) or None, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise the error as a UserError.

        Raises:
            UserError: always.
        """
        raise UserError(f"{' '.join(message.split())}; see --help.")


def run_command(
    work: Callable[[Sequence[str] | None], int],
    arguments: Sequence[str] | None,
    *,
    interrupted: str = "Interrupted.",
) -> int:
    """Return the exit code of `work(arguments)`; an error of the user is one sentence.

    A bug keeps its traceback.

    Args:
        work: parses the arguments and runs the command.
        arguments: of the command line; None for those of this process.
        interrupted: message after Ctrl-C.
    """
    _escape_unencodable()
    try:
        return work(arguments)
    except UserError as error:
        _print_error(str(error))
        return FAULT
    except KeyboardInterrupt:
        write_lines(sys.stderr, interrupted)
        return INTERRUPTED
    except BrokenPipeError:  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        message = outside_fault(error)
        if message is None:
            raise
        _print_error(message)
        return FAULT


def _escape_unencodable() -> None:
    """Print characters that the terminal's encoding lacks as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def outside_fault(error: Exception) -> str | None:
    """Return the sentence for an error of the disk, the network, a database or a server.

    None for any other error: it is a bug, and its traceback is needed.
    """
    if isinstance(error, MemoryError):
        return "This needs more memory than there is; make it smaller, or use a larger machine."
    if isinstance(error, OSError) and is_full_disk(error):
        return f"{full_disk(error.filename or 'an output')}."
    if isinstance(error, OSError):
        reason = error.strerror or first_line(error)
        if error.filename is None:
            return f"The system refused an operation ({reason}); correct that and try again."
        return (
            f"{os.fsdecode(error.filename)} cannot be used ({reason}); correct that and try again."
        )
    for module, name in _SERVICE_ERRORS:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            service = "MLflow" if module.startswith("mlflow") else "The study's database"
            return f"{service} does not work ({first_line(error)}); correct that and try again."
    return None


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return an argparse type: whole numbers from `low` to `high`, both included."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < low:
            raise _refusal(f"must be a whole number of at least {low}", text)
        if high is not None and value > high:
            raise _refusal(f"must be at most {high:,}", text)
        return value

    return read


def number(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """Return an argparse type: finite numbers from `low` to `high`; `above`: `low` is left out."""
    bound = f"above {low:g}" if above else f"of at least {low:g}"
    if math.isfinite(high):
        bound += f" and at most {high:g}"
    if math.isinf(low):
        bound = "that is finite"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value > high or value < low or (above and value == low):
            raise _refusal(f"must be a number {bound}", text)
        return value

    return read


def folder_path(text: str) -> str:
    """Argparse type: a path, `~` for the home folder.

    Raises:
        argparse.ArgumentTypeError: it is empty, or holds a NUL byte.
    """
    if not text or "\0" in text:
        raise _refusal("must be the path of a folder", text)
    return os.path.expanduser(text)  # noqa: PTH111 - a path that is shown as it was given


def number_or_auto(kind: type[Number]) -> Callable[[str], Number | Literal["auto"]]:
    """Return an argparse type: numbers of `kind`, int or float, or the word auto."""
    kind_name = "a whole number" if kind is int else "a number"

    def read(text: str) -> Number | Literal["auto"]:
        try:
            return "auto" if text == "auto" else kind(text)
        except ValueError:
            raise _refusal(f"must be {kind_name} or auto", text) from None

    return read


def _refusal(rule: str, text: str) -> argparse.ArgumentTypeError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return argparse.ArgumentTypeError(f"{rule}, but got {shown!r}")


def _print_error(message: str) -> None:
    write_lines(sys.stderr, f"error: {without_secrets(' '.join(message.split()))}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none.

    For a database error it is the database's own message, without SQLAlchemy's or MLflow's hints.
    """
    cause: BaseException | None = error
    while cause is not None:
        original = getattr(cause, "orig", None)
        if isinstance(original, BaseException):
            return first_line(original)
        cause = cause.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
