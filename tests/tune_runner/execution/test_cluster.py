"""A cluster whose nodes have no checkout: code and data travel, the studies' folder is shared.

Real Ray, started by its own command in a mount namespace of its own, where this project's packages,
and one folder, are covered by empty file systems.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NamedTuple

import pytest

from diffrec.errors import UserError
from servers import free_ports
from tune_runner.execution import cluster
from tune_runner.execution.cluster import PACKAGES, runtime_environment
from tune_runner.execution.preflight import refuse_job_directory

REPOSITORY = Path(cluster.__file__).parents[2]

PATH = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests")))

namespace = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
can_cover = pytest.mark.skipif(
    namespace.returncode != 0, reason="covering folders needs root, for a mount namespace"
)

AGENTS = ("dashboard-agent-grpc", "dashboard-agent-listen", "metrics-export", "runtime-env-agent")


class Node(NamedTuple):
    """Where a cluster answers, what its users need set, and a folder that it does not see."""

    address: str
    client: str
    environment: dict
    covered: Path


def start_head(arguments, environment, covered, log):
    """Run `ray start --head`; all ports are given, since Ray waits only 15 s for those it picks.

    On a busy machine it gives up after 30 seconds, so there are three tries.
    """
    ports = [f"--{n}-port={p}" for n, p in zip(AGENTS, free_ports(len(AGENTS)), strict=True)]
    mounts = "".join(f"mount -t tmpfs none '{folder}' && " for folder in covered)
    command = ["unshare", "--mount", "bash", "-c", f'{mounts}exec "$@"', "bash"]
    command += [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command += ["--disable-usage-stats", *arguments, *ports]
    for _ in range(3):
        head = subprocess.Popen(command, env=environment, cwd="/", stdout=log, stderr=log)
        while head.poll() is None:
            log.seek(0)
            if "Ray runtime started" in log.read():
                return head
            time.sleep(0.5)
    log.seek(0)
    pytest.fail(f"the cluster did not start: {log.read()}")


@pytest.fixture(scope="module")
def bare_node(tmp_path_factory):
    """Yield a cluster of one node without a checkout."""
    covered = tmp_path_factory.mktemp("covered")
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 40}
    environment = os.environ | token
    port, dashboard, client = free_ports(3)
    head = [f"--port={port}", f"--dashboard-port={dashboard}", "--num-cpus=2"]
    head.append(f"--ray-client-server-port={client}")
    hidden = [*(REPOSITORY / name for name in PACKAGES), covered]
    # The names of Ray's sockets have to be short.
    with TemporaryDirectory(prefix="ray-") as short, TemporaryFile("w+") as log:
        node = start_head([*head, f"--temp-dir={short}"], environment, hidden, log)
        try:
            yield Node(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client}", environment, covered)
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(60)


DRIVE = """
import sys
import fake_run
from ray import cloudpickle
from tune_runner import runner
from tune_runner.cli.main import main

cloudpickle.register_pickle_by_value(fake_run)
run_study = runner.run_study
runner.run_study = lambda *a, **k: run_study(*a, **k, backend=fake_run.FakeBackend())
sys.exit(main(["--space", "smoke", "--trials", "2", "--address", *sys.argv[1:]]))
"""

ASK = """
import sys
from pathlib import Path
from diffrec.errors import UserError
from tune_runner.execution.cluster import start_ray
from tune_runner.execution.preflight import check_shared

start_ray(sys.argv[1])
try:
    check_shared(Path(sys.argv[2]))
except UserError as error:
    sys.stdout.write(str(error))
"""


def run(script, arguments, environment, folder):
    """Run a script as a process of its own, as one outside the node's namespace."""
    return subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments],
        env=environment
        | {"PYTHONPATH": PATH, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def interrupt(script, arguments, environment, folder, after):
    """Run a script until it has said `after`, press Ctrl-C; return its code and all it said."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", script, *arguments],
        env=environment
        | {"PYTHONPATH": PATH, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = ""
    with process:
        for line in process.stdout:
            output += line
            if after and after in line:
                process.send_signal(signal.SIGINT)
                after = None
    return process.returncode, output


@can_cover
@pytest.mark.ray
@pytest.mark.slow
def test_a_node_without_a_checkout_runs_a_study(bare_node, tmp_path, empty_database):
    address, _, environment, covered = bare_node
    shutil.copy(empty_database, tmp_path)
    for name in ("diffrec", "torch", "numpy"):  # the user's own, in the driver's working directory
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the user's module was run')")
    done = run(DRIVE, [address], environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[2/2]" in done.stdout
    assert "2 complete, 0 running, 0 pruned, 0 failed" in done.stdout

    answer = run(ASK, [address, str(covered)], environment, tmp_path)
    assert "of the cluster does not see the studies' folder" in answer.stdout, answer.stderr
    assert list(covered.iterdir()) == []


LEAD = """
import sys
from tune_runner.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


@can_cover
@pytest.mark.ray
@pytest.mark.slow
def test_a_study_is_led_on_the_cluster_from_outside(bare_node, tmp_path, empty_database):
    _, client, environment, _ = bare_node
    shutil.copy(empty_database, tmp_path)
    runs = tmp_path / "runs"
    far = ["--address", client, "--runs-dir", str(runs)]
    new = ["--space", "smoke", "--name", "far", "--trials", "1", "--max-epochs", "5"]
    done = run(LEAD, [*new, *far], environment, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1/1]" in done.stdout
    assert "1 of 1 trials complete" in done.stdout  # the report, by another process
    assert (runs / "far" / "report" / "index.html").exists()
    longer = ["--space", "clustering_ablation", "--name", "long", "--seeds", "1", *far]
    code, output = interrupt(LEAD, longer, environment, tmp_path, after="[1/17]")
    assert code == 130, output
    assert "Interrupted; resume with: python -m tune_runner --resume long" in output
    assert "Traceback" not in output


def test_what_is_sent_to_the_nodes_is_the_code_alone():
    environment = runtime_environment()
    assert [Path(p).name for p in environment["py_modules"]] == list(PACKAGES)
    assert all((Path(p) / "__init__.py").exists() for p in environment["py_modules"])
    assert environment["env_vars"] == {"RAY_CHDIR_TO_TRIAL_DIR": "0"}
    assert "**/__pycache__" in environment["excludes"]


@pytest.mark.parametrize(
    ("runs", "uri", "words"),
    [
        ("runs", "postgresql://db/mlflow", "--runs-dir an absolute path"),
        ("/shared/runs", "sqlite:////tmp/x/working_dir_files/_ray_pkg/mlflow.db", "TRACKING_URI"),
    ],
)
def test_a_job_keeps_nothing_in_its_own_working_directory(runs, uri, words, tmp_path, monkeypatch):
    job = tmp_path / "working_dir_files" / "_ray_pkg"
    job.mkdir(parents=True)
    monkeypatch.chdir(job)
    with pytest.raises(UserError, match=words):
        refuse_job_directory(Path(runs), uri)
    refuse_job_directory(Path("/shared/runs"), "postgresql://db/mlflow")
