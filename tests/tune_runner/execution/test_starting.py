"""Ray's start on a busy machine: tried again, the first reason kept, nothing left running.

The start that succeeds shows as well where Ray's files are, who may read them, that they go, and
that no module of the user's in the working directory is run by a worker in place of a library.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import torch

from tune_runner.execution import cluster
from tune_runner.worker import trainable

REPOSITORY = Path(cluster.__file__).parents[2]

START = """
import json
import os
import subprocess
import sys
from pathlib import Path

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
session, modes, own, workers = "", [], [], []

def where():
    import torch
    import tune_runner.worker.trainable as ours
    return [torch.__file__, ours.__file__, os.getcwd()]

try:
    said = start_ray(None).cpus
    context = ray.get_runtime_context()
    session = Path(context.get_temp_dir(), context.get_session_name())
    assert (session / "sockets").is_dir()
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    modes = [path.stat().st_mode & 0o777 for path in (session.parents[1], token)]
    import psutil
    own = [child.pid for child in psutil.Process().children(recursive=True)]
    workers = ray.get(ray.remote(where).remote())
except UserError as error:
    said = str(error)
print(json.dumps([said, left_behind, str(session), modes, own, workers]))
"""


def start(failures, folder, **more):
    """Start Ray in a process of its own; its first `failures` tries fail.

    The other arguments are variables that it finds.
    """
    environment = {name: v for name, v in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", START, str(failures)],
        env=environment | {"PYTHONPATH": str(REPOSITORY)} | more,
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
    token = tmp_path / "token"
    for name in ("diffrec", "search_spaces", "torch", "tune_runner", "numpy", "logging"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the user's module was run')")
    with TemporaryDirectory(prefix="ray-") as short:  # the names of Ray's sockets have to be
        ended = Path(short, f"diffrec-{os.geteuid()}", "ray", "session_of_a_killed_driver_1")
        ended.parents[1].mkdir(mode=0o700)
        ended.mkdir(parents=True)
        output, left_behind, session, modes, is_own, workers = start(
            1, tmp_path, RAY_TMPDIR=short, RAY_AUTH_TOKEN_PATH=str(token)
        )
        assert output == 1.0
        assert Path(session).parent == ended.parent
        assert modes == [0o700, 0o600]
        assert workers == [torch.__file__, trainable.__file__, str(tmp_path)]
        assert not Path(session).exists()
        assert not ended.exists()
    assert len(left_behind) == 1
    assert is_own
    assert not any(map(psutil.pid_exists, left_behind + is_own))


@pytest.mark.slow
def test_the_first_reason_is_told_and_nothing_is_left_running(tmp_path):
    output, left_behind, *_ = start(3, tmp_path, HOME=str(tmp_path))
    assert "Ray did not start on this machine in 3 tries (reason 1)" in output
    assert not any(map(psutil.pid_exists, left_behind))
