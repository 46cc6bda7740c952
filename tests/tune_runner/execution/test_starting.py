"""Ray's start on a busy machine: tried again, the first reason kept, nothing left running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tune_runner.execution import cluster

REPOSITORY = Path(cluster.__file__).parents[2]

START = """
import json
import subprocess
import sys

import aiohttp_cors, colorful  # the dashboard imports both

from tune_runner.execution import environment

environment.prepare()
import ray
from diffrec.errors import UserError
from tune_runner.execution.cluster import start_ray

failures, left_behind = int(sys.argv[1]), []
init = ray.init

def busy(**settings):
    if len(left_behind) == failures:
        return init(num_cpus=1, **settings)
    left_behind.append(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
    raise RuntimeError(f"reason {len(left_behind)}")

ray.init = busy
try:
    said = start_ray(None).cpus
except UserError as error:
    said = str(error)
print(json.dumps([said, left_behind]))
"""


def start(failures, folder):
    """Start Ray in a process of its own; its first `failures` tries fail."""
    done = subprocess.run(
        [sys.executable, "-c", START, str(failures)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.ray
@pytest.mark.slow
def test_a_start_that_fails_once_succeeds_the_second_time(tmp_path):
    said, left_behind = start(1, tmp_path)
    assert said == 1.0
    assert len(left_behind) == 1
    assert not any(map(psutil.pid_exists, left_behind))


@pytest.mark.slow
def test_the_first_reason_is_told_and_nothing_is_left_running(tmp_path):
    said, left_behind = start(3, tmp_path)
    assert "Ray did not start on this machine in 3 tries (reason 1)" in said
    assert not any(map(psutil.pid_exists, left_behind))
