"""After the libraries are imported, Tune and the tracker's thread import none of each other's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_runner import opening

TESTS = Path(__file__).parents[2]

TOGETHER = """
import faulthandler
import json
import os
import sys
import threading
from pathlib import Path

from tune_runner import opening

AGAIN = ("mlflow", "ray.air.integrations", "ray.tune.logger.aim")
OURS = ("tune_runner.tracking.mlflow_writer", "tune_runner.execution.tune_run")

class Log:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mlflow", "ray", "optuna"):
            imported.append((threading.current_thread().name, name))
        return None

def track():
    both.wait()
    try:
        from mlflow.tracking import MlflowClient
        from tune_runner.tracking.mlflow_writer import MlflowWriter

        if Path("mlflow.db").exists():  # making it takes long enough for one of them
            MlflowClient("http://127.0.0.1:1")
            return
        writer = MlflowWriter(f"sqlite:///{Path.cwd() / 'mlflow.db'}", "s", "id")
        study = {"tags": {"kind": "study", "study": "s"}, "artifacts": {"space.json": {}}}
        writer.apply([{"what": "study", "time": 1.0, **study}])
    except BaseException as error:
        errors.append(repr(error))

def start_both():
    from ray.air._internal.usage import _count_callbacks
    from ray.tune import Callback

    opening.import_libraries()
    sys.meta_path.insert(0, Log())
    tracker = threading.Thread(target=track, name="tracker")
    tracker.start()
    both.wait()
    try:
        _count_callbacks([Callback()])  # what tuner.fit() does of its own accord
    except BaseException as error:
        errors.append(repr(error))
    tracker.join()
    print(json.dumps([imported, errors]), flush=True)

opening.import_libraries()
for name in list(sys.modules):  # so that each process imports MLflow, but not all that it needs
    if name.startswith(AGAIN) or name in OURS:
        del sys.modules[name]
for _ in range(int(sys.argv[1])):
    imported, errors, both = [], [], threading.Barrier(2)
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)  # a deadlock that nothing detects
        start_both()
        os._exit(0)
    os.waitpid(child, 0)
"""
TIMES = 20


@pytest.mark.slow
def test_no_library_is_imported_in_two_threads_at_once(tmp_path):
    """As often as a rare deadlock needs to show itself; the first makes the database as well."""
    path = os.pathsep.join(map(str, (Path(opening.__file__).parents[1], TESTS)))
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER, str(TIMES)],
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    starts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(starts) == TIMES, done.stderr
    for imported, errors in starts:
        assert errors == []
        assert [name for thread, name in imported if thread != "tracker"] == []
        assert [name for _, name in imported if not name.startswith("mlflow")] == []
