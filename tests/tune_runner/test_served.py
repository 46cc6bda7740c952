"""A registered model in service: MLflow's own server, and an environment of its own requirements.

Neither process has this repository: the server's path begins with what the model carries, and the
fresh environment has nothing else.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

import tune_runner
from diffrec.data import load_dataset
from planted_study import histories, planted_results, recommended, train
from servers import free_port, wait_until

pytestmark = pytest.mark.slow

NAME = "films & more"
ALONE = """
import importlib.util, json, sys
for name in ("tune_runner", "search_spaces", "analysis", "ray", "optuna"):
    assert importlib.util.find_spec(name) is None, name
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
import diffrec
assert diffrec.__file__.startswith(sys.argv[1]), diffrec.__file__
frame = pandas.DataFrame({"history": json.load(sys.stdin)})
json.dump(model.predict(frame, params={"k": 20}).to_dict("list"), sys.stdout)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, empty_database):
    """A folder with a registered champion, and its checkpoint as `model.pt`."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copy(empty_database, folder)
    quick = ("training.max_epochs=2", "training.eval_every=2")
    checkpoint = train(folder / "trained", "LT-DiffRec", *quick)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    planted_results(folder, uri, "served").write(checkpoint, of=1)
    done = tune_runner.register("served", NAME, tracking_uri=uri)
    assert done.is_champion
    shutil.copy(checkpoint, folder)
    return folder


@pytest.fixture(scope="module")
def asked():
    """A thousand histories: those of the users, and random ones."""
    dataset = load_dataset("embedded")
    return histories(1000, dataset.num_items, np.random.default_rng(11), dataset.train)


@pytest.fixture(scope="module")
def expected(place, asked):
    """Their lists by `diffrec recommend`."""
    return recommended(place / "model.pt", asked, place / "recommended")


def text(lists):
    return [[str(item) for item in items] for items in lists]


def post(port, request):
    """Return status and answer of the server."""
    http = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(request).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(http, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def port(place, tmp_path_factory):
    """Port of `mlflow models serve` over the champion, in a process of its own."""
    port, folder = free_port(), tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", f"models:/{NAME}@champion", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment.pop("PYTHONPATH", None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, process_group=0
        )

    def answers():
        assert process.poll() is None, (folder / "log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    wait_until(answers)
    yield port
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_server_answers_a_thousand_histories_as_recommend_does(port, asked, expected):
    status, answer = post(port, {"dataframe_records": [{"history": items} for items in asked]})
    assert status == 200
    assert text(row["items"] for row in answer["predictions"]) == expected
    for row in answer["predictions"]:
        assert len(row["items"]) == len(row["scores"]) == 20
        assert row["scores"] == sorted(row["scores"], reverse=True)


def test_the_server_takes_k_and_refuses_what_it_does_not_know(port, asked, expected):
    split = {"columns": ["history"], "data": [[asked[0]]]}
    status, answer = post(port, {"dataframe_split": split, "params": {"k": 3}})
    assert status == 200
    assert text([answer["predictions"][0]["items"]]) == [expected[0][:3]]
    for data, words in (([[[10**9]]], "must be one of"), ([[[]]], "in row 0 is empty")):
        status, answer = post(port, {"dataframe_split": {**split, "data": data}})
        assert status == 400
        assert words in json.dumps(answer)
    assert post(port, {"dataframe_split": split, "params": {"k": 0}})[0] == 400


def installed_uv(folder):
    """Install uv into a folder; return the program."""
    install = [folder / "bin" / "pip", "install", "-q", "uv"]
    for command in ([sys.executable, "-m", "venv", folder], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"uv cannot be installed: {done.stderr.strip()[-200:]}")
    return folder / "bin" / "uv"


@pytest.fixture(scope="module")
def fresh(place, tmp_path_factory):
    """A copy of the model, and Python of an environment of its requirements alone."""
    folder = tmp_path_factory.mktemp("fresh")
    client = MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    version = client.get_model_version_by_alias(NAME, "champion")
    source = client.get_model_version_download_uri(NAME, version.version)
    model = shutil.copytree(source.removeprefix("file://"), folder / "model")
    uv = shutil.which("uv") or installed_uv(folder / "tools")
    python = folder / "env" / "bin" / "python"
    install = [uv, "pip", "install", "-q", "--python", python, "-r", model / "requirements.txt"]
    for command in ([uv, "venv", "-q", "--python", sys.executable, folder / "env"], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        unreachable = "failed to fetch|connect error|dns error|timed out"
        if done.returncode and re.search(unreachable, done.stderr, re.IGNORECASE):
            pytest.skip(f"no registry of packages answers: {done.stderr.strip()[-200:]}")
        assert done.returncode == 0, done.stderr
    yield model, python
    shutil.rmtree(folder / "env")


def test_it_answers_the_same_in_an_environment_of_its_requirements(fresh, asked, expected):
    model, python = fresh
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [python, "-I", "-c", ALONE, model],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        cwd=model.parent,
        env=clean,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert text(json.loads(done.stdout)["items"]) == expected


@pytest.fixture(autouse=True)
def no_global_address():
    yield
    mlflow.set_tracking_uri(None)
