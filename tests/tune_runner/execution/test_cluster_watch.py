"""A study whose Ray has died says so at once, leaves no process behind, and can be resumed."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from faults import Harm, Watch
from servers import wait_until
from tune_runner import exit_codes
from tune_runner.execution import cluster_watch

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TESTS = Path(__file__).parents[2]
PATH = os.pathsep.join(map(str, (Path(cluster_watch.__file__).parents[2], TESTS)))

DRIVE = """
import sys
import fake_run
from ray import cloudpickle
from tune_runner import runner
from tune_runner.cli.main import main

cloudpickle.register_pickle_by_value(fake_run)
run_study, backend = runner.run_study, fake_run.FakeBackend(seconds=0.1, diary=sys.argv[1])
runner.run_study = lambda *a, **k: run_study(*a, **k, backend=backend)
runner._print_report = lambda session: None
sys.exit(main(sys.argv[2:]))
"""


def drive(folder, *arguments):
    """Start the command on fake runs in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVE, str(folder / "diary"), *arguments],
        env=os.environ | {"PYTHONPATH": PATH, "MLFLOW_TRACKING_URI": ""},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def epochs(folder):
    """Epochs that were run."""
    path = folder / "diary"
    return len(path.read_text().splitlines()) if path.exists() else 0


def has_run(folder, enough, driver):
    """Whether so many epochs were run, or never will be."""
    return epochs(folder) >= enough or driver.poll() is not None


def test_a_lost_gcs_or_raylet_ends_a_study_that_can_be_resumed(
    write_space, tmp_path, empty_database
):
    shutil.copy(empty_database, tmp_path)
    space = write_space('{"training.learning_rate": Choice(0.5)}', epochs=400)
    arguments = ["--space", space, "--name", "lost", "--max-concurrent", "1"]
    watch = Watch("lost", f"sqlite:///{tmp_path / 'mlflow.db'}", diary=str(tmp_path / "diary"))
    for lost in ("gcs_server", "raylet"):
        enough, driver = epochs(tmp_path) + 3, drive(tmp_path, *arguments)
        wait_until(partial(has_run, tmp_path, enough, driver))
        family = psutil.Process(driver.pid).children(recursive=True)
        (process,) = [p for p in family if p.name() == lost]
        process.send_signal(signal.SIGKILL)
        output, _ = driver.communicate(timeout=60)
        assert driver.returncode == exit_codes.FAILED, output
        last = output.splitlines()[-1]
        assert last.startswith("error: Ray's "), output
        assert last.endswith("python -m tune_runner --resume lost")
        assert "Traceback" not in output
        _, alive = psutil.wait_procs(family, timeout=30)
        assert alive == []
        assert watch.harm(ended=False) == Harm()
        arguments = ["--resume", "lost", "--max-concurrent", "1"]
