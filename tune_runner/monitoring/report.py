"""Runs `analysis` in a process to print and save a report: it may not be imported from here."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from diffrec.errors import UserError
from tune_runner.monitoring.screen import Screen
from tune_runner.schema import ANSWER_FILE
from tune_runner.study.folder import StudyFolder


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


def make_report(folder: StudyFolder, tracking_uri: str, *, figures: bool = True) -> Path:
    """Save a study's report without printing it; return its page.

    Args:
        folder: of the study.
        tracking_uri: of MLflow's record.
        figures: with figures and the page; otherwise text and tables alone.

    Raises:
        UserError: the program has refused it, or failed.
    """
    name, runs_dir = folder.path.name, str(folder.path.parent)
    flags = [] if figures else ["--no-figures"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "analysis", "--runs-dir", runs_dir, *flags, "--", name],
        env=_environment(_package_folders(), tracking_uri),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(lines[-1].removeprefix("error: "))
    return folder.path / "report" / ("index.html" if figures else "report.md")


def _environment(folders: Sequence[Path], tracking_uri: str) -> dict[str, str]:
    path = os.pathsep.join(map(str, folders))
    return {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "PYTHONPATH": path}


def _run_analysis(folders: Sequence[Path], study: str, runs_dir: str, tracking_uri: str) -> bool:
    """Run the program with this one's stdout; return whether it succeeded."""
    sys.stdout.flush()
    piped = not _is_file(sys.stdout)
    encoding = {"PYTHONIOENCODING": "utf-8:backslashreplace"} if piped else {}
    report = subprocess.run(
        [sys.executable, "-P", "-m", "analysis", "--runs-dir", runs_dir, "--", study],
        env=_environment(folders, tracking_uri) | encoding,
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
