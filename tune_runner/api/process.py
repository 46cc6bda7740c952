"""Process of a study that was started from Python: its start, its output and its end.

The child runs `tune_runner.runner` as the command does. A process, since a study needs signals of
the main thread, a Ray of its own, and may have to end at once (`tune_runner.runner`).
"""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from diffrec.credentials import without_secrets
from diffrec.errors import UserError
from tune_runner import exit_codes
from tune_runner.study.config import StudyConfig

_ERROR = "error: "
_SHOWN_LINES = 30
_alive: list[subprocess.Popen[bytes]] = []
"""Processes that were started here: kept, so that they are never collected while they run."""


class StudyError(RuntimeError):
    """The process of a study has ended without doing its work; the message holds its last words."""


def describe_call(function: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> str:
    """Return a call as Python text, for the record and the list of processes; without secrets."""
    parts = [*map(repr, arguments), *(f"{name}={value!r}" for name, value in options.items())]
    return without_secrets(f"tune_runner.{function}({', '.join(parts)})")


def start(
    config: StudyConfig,
    call: str,
    *,
    cwd: Path,
    resume: bool = False,
    retry_failed: bool = False,
    variables: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a study's process; return it once its first trials start.

    Args:
        config: what to study.
        call: what the user called, for the record.
        cwd: its working directory.
        resume: resume a study that exists.
        retry_failed: run failed trials again.
        variables: of its environment, beside this process's own.

    Raises:
        UserError: the request was refused.
        StudyError: the process ended for another reason.
    """
    _alive[:] = [process for process in _alive if process.poll() is None]
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-m", "tune_runner.api.driver", call],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(writer,),
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": _import_path(cwd), **(variables or {})},
            start_new_session=True,  # Ctrl-C in this process is not the study's
        )
        _alive.append(process)
        os.close(writer)
        try:
            _send(process, asdict(config), writer, resume=resume, retry_failed=retry_failed)
            is_started = os.read(reader, 1) != b""
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            os.close(reader)
        if not is_started:
            _raise_refusal(process.wait(), output)
    return process


def _send(
    process: "subprocess.Popen[bytes]", settings: Mapping[str, Any], pipe: int, **flags: bool
) -> None:
    stdin, request = process.stdin, {"settings": settings, "pipe": pipe, **flags}
    assert stdin is not None
    with suppress(BrokenPipeError):  # it has ended already, and its output says why
        stdin.write(json.dumps(request).encode())
    with suppress(BrokenPipeError):
        stdin.close()


def _raise_refusal(code: int, output: IO[bytes]) -> None:
    text = os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0).decode(errors="replace")
    lines = text.strip().splitlines() or [f"it ended with exit code {code} and no word"]
    if code == exit_codes.REFUSED and lines[-1].startswith(_ERROR):
        raise UserError(lines[-1].removeprefix(_ERROR))
    raise StudyError("\n".join(lines[-_SHOWN_LINES:]))


def _import_path(cwd: Path) -> str:
    """Return the folders that this process imports from, the standard ones and `cwd` left out.

    A user's own `torch.py` in the working directory would stand in for the library.
    """
    project = Path(__file__).resolve().parents[2]
    standard = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    folders = [project, *(Path(entry).resolve() for entry in sys.path if entry)]
    unique = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    used = [f for f in unique if f == project or f != cwd.resolve()]
    return os.pathsep.join(str(folder) for folder in used if folder not in standard)
