"""Main module of the process in which `run_study` runs a study (`tune_runner.api.process`).

The request comes on standard input as JSON; a byte on a pipe says that the first trials start.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffrec.command_line import run_command
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.study.config import RunLimits, StudyConfig
from tune_runner.study.folder import OUTPUT, StudyFolder


def main() -> int:
    """Run the study of the request; return the command's exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a notebook's kernel ignores it
    sys.path.append(str(Path.cwd()))  # last: it serves what a space file imports
    request = json.load(sys.stdin)
    os.set_inheritable(request["pipe"], False)

    def on_start(folder: StudyFolder) -> None:
        _keep_output(folder.path / OUTPUT)
        os.write(request["pipe"], b"1")
        os.close(request["pipe"])

    def work(_: Sequence[str] | None) -> int:
        from tune_runner.runner import run_study

        return run_study(
            _config(request["settings"]),
            resume=request["resume"],
            retry_failed=request["retry_failed"],
            on_start=on_start,
        )

    return run_command(work, None, interrupted="Interrupted before the first trial.")


def _config(settings: Mapping[str, Any]) -> StudyConfig:
    request = settings["request"]
    custom = tuple((name, amount) for name, amount in request["custom"])
    return StudyConfig(
        **{
            **settings,
            "request": ResourceRequest(**{**request, "custom": custom}),
            "limits": RunLimits(**settings["limits"]),
        }
    )


def _keep_output(path: Path) -> None:
    """Append what was written so far to a file in the study's folder, and write there from now on.

    There was no such folder before; whoever started this process is not read from any more.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    size = os.fstat(1).st_size
    written = os.pread(1, size, 0)
    with path.open("ab") as file:
        file.write(written)
        file.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    sys.exit(main())
