"""Runs `analysis` in a process to print and save a report: it may not be imported from here."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tune_runner.monitoring.screen import Screen
from tune_runner.schema import ANSWER_FILE


def print_report(screen: Screen, study: str, runs_dir: str, tracking_uri: str) -> bool:
    """Print a study's table and save its report; return False if that failed or Ctrl-C skipped it.

    The package is found beside this one, without the working directory first in the path: a user's
    own `analysis.py` there must not run in place of ours.
    """
    folders = _package_folders()
    if not any((folder / "analysis" / "__main__.py").exists() for folder in folders):
        return True
    screen.write("report    is being made; Ctrl-C skips it")
    command = f"python -m analysis {shlex.quote(study)}"
    try:
        is_made = _run_analysis(folders, study, runs_dir, tracking_uri)
    except KeyboardInterrupt:
        screen.write(f"report    left out; make it with: {command}")
        return False
    if not is_made:
        screen.write(f"report    not made; try: {command}")
    return is_made


def _run_analysis(folders: Sequence[Path], study: str, runs_dir: str, tracking_uri: str) -> bool:
    """Run the program with this one's stdout; return whether it succeeded."""
    sys.stdout.flush()
    piped = not _is_file(sys.stdout)
    path = os.pathsep.join(map(str, folders))
    encoding = {"PYTHONIOENCODING": "utf-8:backslashreplace"} if piped else {}
    report = subprocess.run(
        [sys.executable, "-P", "-m", "analysis", "--runs-dir", runs_dir, "--", study],
        env=os.environ | {"MLFLOW_TRACKING_URI": tracking_uri, "PYTHONPATH": path} | encoding,
        stdout=subprocess.PIPE if piped else None,
        encoding="utf-8",
        check=False,
    )
    if piped:
        sys.stdout.write(report.stdout)
    return report.returncode == 0


def read_answer(folder: Path) -> str:
    """Return the answer of the report in a study's folder; "" if there is no report."""
    path = folder / "report" / ANSWER_FILE
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _package_folders() -> list[Path]:
    """Return the folders that packages are imported from, without the working directory.

    On a cluster's node each package of this project lies in a folder of its own.
    """
    project = Path(__file__).resolve().parents[2]
    path_entries = [Path(entry).resolve() for entry in sys.path if entry]
    return [project, *(folder for folder in path_entries if folder not in (project, Path.cwd()))]


def _is_file(stream: IO[str]) -> bool:
    """Return whether a child process can write to it."""
    try:
        stream.fileno()
    except OSError:  # io.UnsupportedOperation is one
        return False
    return True
