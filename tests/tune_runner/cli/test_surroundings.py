"""A user's own files beside the command, and terminals that are not UTF-8, change nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_runner import runner

REPOSITORY = Path(runner.__file__).parents[1]
OWN = "raise SystemExit('a module of the user was run in place of ours')\n"
SPACE = """
from rates import RATES
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(name="own", question="?", variant="DiffRec",
                    domains={"training.learning_rate": Choice(*RATES)})
"""


def run(folder, *command, **variables):
    """Run a command of Python's in a folder, with our packages found as if they were installed."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "PYTHONPATH")
    }
    return subprocess.run(
        [sys.executable, *command],
        env=environment | {"PYTHONPATH": str(REPOSITORY)} | variables,
        cwd=folder,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def crowded(tmp_path):
    """A folder with modules of the user that bear names of ours."""
    for name in ("analysis", "diffrec", "optuna", "numpy", "torch", "random", "json"):
        (tmp_path / f"{name}.py").write_text(OWN)
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "__init__.py").write_text(OWN)
    (tmp_path / "rates.py").write_text("RATES = (0.25, 0.5)\n")
    (tmp_path / "own.py").write_text(SPACE)
    return tmp_path


def test_a_space_file_imports_what_lies_beside_it_and_ours_stay_ours(crowded):
    done = run(crowded, "-m", "tune_runner", "--space", "own.py", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert b"training.learning_rate=0.25" in done.stdout
    elsewhere = crowded / "sub"
    elsewhere.mkdir()
    done = run(elsewhere, "-m", "tune_runner", "--space", "../own.py", "--dry-run")
    assert done.returncode == 0, done.stderr


INSTALLED = """
import runpy
import sys
from importlib.machinery import PathFinder

class Editable:
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, [sys.argv[1]]) if path is None else None

sys.meta_path.append(Editable())  # what `pip install -e` does: after all that the path holds
program = sys.argv[2]
sys.argv[1:3] = []
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("code", "program", "arguments"),
    [
        (0, "tune_runner", ["--space", "own.py", "--dry-run"]),
        (2, "diffrec", ["check", "nowhere"]),
        (2, "analysis", ["nothing"]),
    ],
)
def test_modules_of_the_user_do_not_run_in_place_of_ours(crowded, code, program, arguments):
    if program != "tune_runner":
        (crowded / f"{program}.py").unlink()  # Python itself would run it
    command = ("-c", INSTALLED, str(REPOSITORY), program, *arguments)
    done = run(crowded, *command, PYTHONPATH="")
    assert done.returncode == code, done.stderr
    assert b"user was run" not in done.stderr


REPORT = """
import sys
from tune_runner.monitoring.report import print_report
from tune_runner.monitoring.screen import Screen
sys.exit(not print_report(Screen(), "none", "runs", "sqlite:///missing.db"))
"""


def test_the_report_is_made_by_our_own_analysis(crowded):
    done = run(crowded, "-P", "-c", REPORT)
    assert done.returncode == 1
    assert b"No MLflow database at" in done.stderr


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (0, ("tune_runner", "--space", "smoke", "--dry-run", "--name", "😀 é")),
        (2, ("tune_runner", "--status", "😀 é")),
        (2, ("analysis", "😀 é")),
        (2, ("diffrec", "check", "😀 é")),
        (2, ("tune_runner", "--name", os.fsdecode(b"\xff"), "--space", "smoke")),
    ],
)
def test_output_that_cannot_be_encoded_never_crashes(code, command, tmp_path):
    done = run(tmp_path, "-m", *command, PYTHONIOENCODING="ascii")
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
