"""Whatever is killed, stopped or filled: nothing is lost, nothing twice, the two records agree.

Real processes and real kills; only the training is fake, so that a study takes seconds. What is
asserted after each fault is in tests/faults.py; benchmarks/kills.py does the same many times over.
"""

import os
import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import optuna
import psutil
import pytest

from diffrec.errors import UserError
from driver import start_driver
from fake_run import FakeBackend
from faults import Harm, Watch, places_of
from servers import MlflowServer, postgres, wait_until
from small_disk import fill, small_disk
from tune_runner.resources.allocation import ResourceRequest
from tune_runner.runner import run_study
from tune_runner.study.config import StudyConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RATES = '{"training.learning_rate": Choice(0.5, 0.7, 0.6)}'


def alive(pid):
    """Whether a process runs; one that nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Diary:
    """What fake runs noted, and waiting for more of it."""

    def __init__(self, path):
        self.path = path
        path.touch()

    def lines(self):
        """(pid, node, trial, epoch) of every epoch that was run."""
        return [line.split() for line in self.path.read_text().splitlines()]

    def wait_for_more(self, count):
        """Return once `count` more epochs were run."""
        num_lines = len(self.lines())
        wait_until(lambda: len(self.lines()) >= num_lines + count)


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path / "diary")


@pytest.fixture
def backend(diary):
    """Fake runs, slow enough to be killed in the middle."""
    return FakeBackend(seconds=0.15, diary=str(diary.path))


@pytest.fixture
def config(ray_cluster, write_space):
    """A grid of three rates and two seeds on the cluster, one trial at a time."""
    one = ResourceRequest(max_concurrent=1)
    space = write_space(RATES, epochs=6)
    return StudyConfig(space=space, name="storm", seeds=2, request=one)


def results(watch):
    """Everything that a study says about each point: curve, score, test metrics; and the best."""
    runs = {int(run.data.tags["trial_number"]): run for run in watch.runs()[1]}
    each = {
        (str(t.params), t.user_attrs["seed"]): (
            t.value,
            t.intermediate_values,
            {k: v for k, v in runs[t.number].data.metrics.items() if "seconds" not in k},
        )
        for t in watch.trials()
    }
    return each, max(watch.trials(), key=lambda trial: trial.value).number


def test_a_study_killed_again_and_again_ends_as_if_nothing_had_happened(
    ray_cluster, config, backend, diary, tracking_uri
):
    calm = replace(config, name="calm")
    assert run_study(calm, backend=FakeBackend()) == 0

    watch = Watch("storm", tracking_uri, diary=backend.diary)
    chance = random.Random(3)
    for resume in (False, True):
        driver = start_driver(config, backend, ray_cluster.address, resume=resume)
        diary.wait_for_more(chance.randint(3, 9))
        time.sleep(chance.uniform(0, 0.3))
        driver.kill()
        driver.join()
        assert watch.harm(ended=False) == Harm()
    driver = start_driver(config, backend, ray_cluster.address, resume=True)
    diary.wait_for_more(chance.randint(2, 5))
    os.kill(int(diary.lines()[-1][0]), signal.SIGKILL)
    driver.join()
    assert driver.exitcode == 0, Path("driver.out").read_text()
    assert watch.harm() == Harm()
    assert results(watch) == results(Watch("calm", tracking_uri))
    assert watch.runs()[0][0].data.tags["state"] == "complete"


def test_a_lost_node_costs_its_trials_nothing_but_time(
    ray_cluster, config, backend, diary, tracking_uri, tmp_path
):
    """The folder of the runs is one that all three nodes see."""
    nodes = [ray_cluster.add_node(num_cpus=1) for _ in range(2)]
    doomed = nodes[1].node_id
    try:
        config = replace(config, name="nodes", request=ResourceRequest(max_concurrent=4))
        gate = tmp_path / "gate"
        driver = start_driver(config, replace(backend, gate=str(gate)), ray_cluster.address)
        # a trial waits in its second epoch on each CPU of the three nodes
        wait_until(lambda: sum(epoch == "2" for *_, epoch in diary.lines()) == 4)
        (lost,) = {int(pid) for pid, node, *_ in diary.lines() if node == doomed}
        ray_cluster.remove_node(nodes.pop(), allow_graceful=False)
        wait_until(lambda: not alive(lost))  # it outlives its raylet by a moment
        gate.touch()
        driver.join()
        assert driver.exitcode == 0, Path("driver.out").read_text()
    finally:
        for node in nodes:
            ray_cluster.remove_node(node)
    watch = Watch("nodes", tracking_uri, diary=backend.diary)
    assert watch.harm() == Harm()
    assert len(watch.trials()) == 6
    (moved,) = {trial for _, node, trial, _ in diary.lines() if node == doomed}
    elsewhere = [int(e) for _, node, name, e in diary.lines() if name == moved and node != doomed]
    assert elsewhere == list(range(elsewhere[0], 7))
    assert elsewhere[0] > 1, "it began anew"


def test_the_record_is_complete_although_mlflows_server_was_away(
    ray_cluster, config, backend, diary, tmp_path, monkeypatch
):
    server = MlflowServer(f"sqlite:///{tmp_path / 'server.db'}", tmp_path)
    secret = "hunter2-of-mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri.replace("://", f"://user:{secret}@"))
    server.start()
    try:
        gate = tmp_path / "gate"
        gate.touch()
        driver = start_driver(config, replace(backend, gate=str(gate)), ray_cluster.address)
        diary.wait_for_more(4)
        server.stop()
        diary.wait_for_more(12)  # whole trials
        assert places_of(secret, tmp_path) == []  # and a server that is away has been complained of
        gate.unlink()  # the study must not be over before the server is back
        server.start()
        gate.touch()
        driver.join()
        assert driver.exitcode == 0, Path("driver.out").read_text()
        assert Watch("storm", server.uri, diary=backend.diary).harm() == Harm()
        assert places_of(secret, tmp_path) == []
    finally:
        server.stop()


def test_a_study_in_postgresql_and_a_server_on_it_survive_a_kill(
    ray_cluster, config, backend, diary, tmp_path, monkeypatch
):
    with postgres() as database:
        server = MlflowServer(database.url("mlflow"), tmp_path)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        server.start()
        try:
            config = replace(config, storage=database.url("diffrec"))
            watch = Watch("storm", server.uri, storage=config.storage, diary=backend.diary)
            driver = start_driver(config, backend, ray_cluster.address)
            diary.wait_for_more(8)
            driver.kill()
            driver.join()
            assert watch.harm(ended=False) == Harm()
            driver = start_driver(config, backend, ray_cluster.address, resume=True)
            driver.join()
            assert driver.exitcode == 0, Path("driver.out").read_text()
            assert watch.harm() == Harm()
            assert len(watch.trials()) == 6
            assert places_of(database.password, tmp_path) == []
        finally:
            server.stop()


@pytest.fixture
def disk(tmp_path):
    """A disk of one MiB."""
    with small_disk(tmp_path / "small") as folder:
        yield folder


def test_a_full_disk_stops_the_study_and_costs_nothing(
    config, backend, diary, tracking_uri, disk, capsys
):
    config = replace(config, name="full", runs_dir=str(disk))
    journal = f"journal://{disk / 'full' / 'study.log'}"
    watch = Watch("full", tracking_uri, storage=journal, diary=backend.diary)

    def fill_later():
        wait_until(lambda: len(diary.lines()) >= 9)  # the second trial runs
        fill(disk)

    filler = threading.Thread(target=fill_later)
    filler.start()
    assert run_study(config, backend=backend) == 1
    filler.join()
    output = capsys.readouterr().out
    assert "No space left on device" in output
    assert "resume with" in output
    assert watch.harm(ended=False) == Harm()
    states = [trial.state for trial in watch.trials()]
    assert optuna.trial.TrialState.COMPLETE in states
    assert optuna.trial.TrialState.FAIL not in states

    fill(disk)  # Tune's own files are gone meanwhile
    with pytest.raises(UserError, match="is full; free some space"):
        run_study(config, resume=True, backend=backend)
    (disk / "ballast").unlink()
    assert run_study(config, resume=True, backend=backend) == 0
    assert watch.harm() == Harm()
    assert [t.state for t in watch.trials()] == [optuna.trial.TrialState.COMPLETE] * 6
