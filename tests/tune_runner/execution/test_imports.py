"""After the libraries are imported, Tune and the tracker's thread import none of each other's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_runner import runner

TESTS = Path(__file__).parents[2]

TOGETHER = """
import json
import sys
import threading
from pathlib import Path

from tune_runner import runner

runner.import_libraries()

from ray.air._internal.usage import _count_callbacks
from ray.tune import Callback
from tune_runner.tracking.mlflow_writer import MlflowWriter

imported, both = [], threading.Barrier(2)

class Log:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mlflow", "ray", "optuna"):
            imported.append((threading.current_thread().name, name))
        return None

sys.meta_path.insert(0, Log())

def track():
    both.wait()
    writer = MlflowWriter(f"sqlite:///{Path.cwd() / 'mlflow.db'}", "s", "id")
    study = {"tags": {"kind": "study", "study": "s"}, "artifacts": {"space.json": {}}}
    writer.apply([{"what": "study", "time": 1.0, **study}])

tracker = threading.Thread(target=track, name="tracker")
tracker.start()
both.wait()
_count_callbacks([Callback()])  # what tuner.fit() does of its own accord
tracker.join()
print(json.dumps(imported))
"""


@pytest.mark.slow
def test_no_library_is_imported_in_two_threads_at_once(tmp_path):
    path = os.pathsep.join(map(str, (Path(runner.__file__).parents[1], TESTS)))
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER],
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout.splitlines()[-1])
    assert [name for thread, name in imported if thread != "tracker"] == []
    assert [name for _, name in imported if not name.startswith("mlflow")] == []
