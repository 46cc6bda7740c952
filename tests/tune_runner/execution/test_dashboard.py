"""What Ray's own dashboard says of a study: its API is asked while a reused worker trains."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import URLError

import psutil
import pytest

from servers import wait_until
from tune_runner.execution.cluster import has_dashboard
from tune_runner.execution.environment import prepare

TESTS = Path(__file__).parents[2]
STUDY = "named"

DRIVER = """
import sys

from ray import cloudpickle

import fake_run
from tune_runner import runner
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.study.config import StudyConfig

cloudpickle.register_pickle_by_value(fake_run)
runner._print_report = lambda *_: None
request = ResourceRequest(max_concurrent=1)
config = StudyConfig(space=sys.argv[1], name=sys.argv[2], request=request)
sys.exit(runner.run_study(config, backend=fake_run.FakeBackend(seconds=1.0)))
"""


def ask(url, path, token):
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.ray
@pytest.mark.slow
def test_the_dashboard_names_the_study_and_never_another_trial(
    write_space, tmp_path, empty_database
):
    """Two trials run on one worker, one after the other; the second runs while it is asked."""
    if not has_dashboard():
        pytest.skip("Ray was installed without its dashboard")
    space = write_space('{"training.learning_rate": Choice(0.5, 0.6)}', epochs=12)
    shutil.copy(empty_database, tmp_path)
    (tmp_path / "driver.py").write_text(DRIVER)
    prepare()
    path = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
    env = os.environ | {
        "PYTHONPATH": path,
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
    }
    for variable in ("RAY_ADDRESS", "PYTHONDONTWRITEBYTECODE"):
        env.pop(variable, None)
    said = tmp_path / "said"
    with said.open("w") as file:
        command = [sys.executable, "driver.py", space, STUDY]
        driver = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=file, stderr=file)
    try:

        def first_trial_ended():
            assert driver.poll() is None, said.read_text()
            return "0000 0.5" in said.read_text()

        wait_until(first_trial_ended)
        url = re.search(r"http://127\.0\.0\.1:\d+", said.read_text())[0]
        token = (Path.home() / ".ray" / "auth_token").read_text().strip()
        actors = []

        def second_trial_trains():
            assert driver.poll() is None, said.read_text()
            try:
                answer = json.loads(ask(url, "/logical/actors", token))["data"]["actors"]
            except URLError:  # the dashboard starts after Ray
                return False
            actors[:] = answer.values()
            titles = [psutil.Process(a["pid"]).cmdline() for a in actors if a["pid"]]
            return any("ray::0001 0.6·seed1 epoch" in " ".join(title) for title in titles)

        wait_until(second_trial_trains)
        (worker,) = actors
        jobs = json.loads(ask(url, "/api/jobs/", token))
        # its standard output, which the dashboard's page of logs shows
        log = Path(f"/proc/{worker['pid']}/fd/1").readlink().read_text()
    finally:
        driver.terminate()
        driver.wait(120)
    assert worker["reprName"] == "worker"
    assert [job["metadata"]["job_name"] for job in jobs if job["status"] == "RUNNING"] == [STUDY]
    for epoch in range(1, 12):
        assert f"0000 0.5·seed1  epoch {epoch}: valid/recall@20 0." in log
    assert "0000 0.5·seed1  epoch 12: valid/recall@20 0.4999, loss 0.08333; complete" in log
