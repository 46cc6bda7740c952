"""Provenance of a study: command, commit, versions, machine. Recorded once per study."""

import getpass
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from diffrec.credentials import without_password

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "ray", "optuna", "mlflow")


def command() -> str:
    """Return the command or the call that was given, to be given again; without passwords."""
    program = Path(sys.argv[0])
    if program.parts[-2:] == ("api", "driver.py"):  # tune_runner.api.process started it
        return sys.argv[1]
    name = f"python -m {program.parent.name}" if program.stem == "__main__" else program.name
    return " ".join([name, *(shlex.quote(without_password(word)) for word in sys.argv[1:])])


def git_commit() -> str:
    """Return the commit of this code, `-dirty` at its end if changed since; "" without git."""
    commit = _git("rev-parse", "HEAD")
    changed = bool(commit) and bool(_git("status", "--porcelain", "--untracked-files=no"))
    return f"{commit}-dirty" if changed else commit


def mlflow_source(space: str) -> dict[str, str]:
    """Return the tags in which MLflow's pages look for user, source and commit; without empty ones.

    Args:
        space: name of the search space, which is the source of the runs.
    """
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": f"tune_runner {space}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git_commit().removesuffix("-dirty"),
        "mlflow.source.git.branch": _git("branch", "--show-current"),
        "mlflow.source.git.repoURL": without_password(_git("remote", "get-url", "origin")),
    }
    return {key: value for key, value in tags.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return ""


def environment(cluster: Mapping[str, float]) -> dict[str, Any]:
    """Return versions and hardware as JSON values.

    Args:
        cluster: CPUs and GPUs that the trials may be given, of all its nodes.
    """
    return {
        "command": command(),
        "git_commit": git_commit(),
        "cluster": dict(cluster),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
