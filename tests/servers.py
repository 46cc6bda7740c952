"""Real servers for tests, started by the scripts in deploy/: PostgreSQL and MLflow."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[1] / "deploy"
NOT_INSTALLED = 3


def free_port():
    """A port that nothing listens on."""
    return free_ports(1)[0]


def free_ports(count):
    """Return ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(holds, seconds=240):
    """Return once `holds()` is true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


@dataclass
class Postgres:
    """A server of its own; its password is in PGPASSWORD."""

    folder: Path
    port: str = ""
    password: str = ""

    def start(self):
        """Start it, again on its port if it has one."""
        port_arguments = [self.port] if self.port else []
        command = [DEPLOY / "postgres.sh", "start", self.folder, *port_arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == NOT_INSTALLED:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        self.port = done.stdout.strip()
        self.password = (self.folder / "password").read_text()

    def stop(self):
        """Stop it; what is in the middle of a transaction is cut off."""
        subprocess.run([DEPLOY / "postgres.sh", "stop", self.folder], check=True)

    def url(self, database):
        """The URL of one of its databases, without the password."""
        return f"postgresql+psycopg://diffrec@127.0.0.1:{self.port}/{database}"


@contextmanager
def postgres():
    """A PostgreSQL with PGPASSWORD set; not in pytest's folder, which is closed to its user."""
    pytest.importorskip("psycopg", reason="pip install 'diffrec-tune[cluster]'")
    server = Postgres(Path(tempfile.gettempdir()) / f"diffrec-postgres-{os.getpid()}")
    server.start()
    before = os.environ.get("PGPASSWORD")
    os.environ["PGPASSWORD"] = server.password
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)
        if before is None:
            del os.environ["PGPASSWORD"]
        else:
            os.environ["PGPASSWORD"] = before


class MlflowServer:
    """An MLflow server over a database, to be stopped and started."""

    def __init__(self, database, folder):
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._database, self._folder = database, folder
        self._process = None

    def start(self):
        """Start it and wait until it answers."""
        command = [DEPLOY / "mlflow-server.sh", self._database, self._folder, str(self.port)]
        bin_folder = str(
            Path(sys.executable).parent
        )  # `mlflow`, also where nobody activated the venv
        env = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, process_group=0, env=env
            )
        wait_until(self._answers)

    def stop(self):
        """Kill it with all its workers, as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self):
        assert self._process.poll() is None, (self._folder / "server.log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


@contextmanager
def s3():
    """A server that speaks S3, with a bucket; yields the URL of a path in it."""
    pytest.importorskip("moto.server", reason="pip install 'diffrec-tune[test]'")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)
    try:
        wait_until(lambda: _listens(port))
        query = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
        request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
        with urllib.request.urlopen(request):
            pass
        yield f"s3://bucket/studies?{query}"
    finally:
        process.terminate()
        process.wait(60)


def _listens(port):
    with closing(socket.socket()) as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0
