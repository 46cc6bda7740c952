"""A study on a cluster that starts without a worker, grows with the queue, and loses nodes.

Real Ray and its real autoscaler; nodes are processes on this machine (Ray's fake provider).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from ray.util import get_node_ip_address

from servers import free_ports
from tune_runner.execution import nodes as node_lookup
from tune_runner.execution.elastic import ElasticCluster
from tune_runner.execution.nodes import NodeLookup
from tune_runner.resources.allocation import (
    ClusterResources,
    ResourceRequest,
    TrialResources,
    allocate,
    check_fits,
    slots_on,
)
from tune_runner.resources.nodes import ClusterNode
from tune_runner.study.config import StudyPlan

SPACE = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(
    name="elastic", question="Does it grow?", variant="DiffRec", replicates=2,
    overrides={"training.max_epochs": 40, "training.eval_every": 2, "training.patience": 40},
    domains={"training.learning_rate": Choice(0.001, 0.002)},
)
"""
COMMANDS = ("setup_commands", "head_setup_commands", "worker_setup_commands")
COMMANDS += ("initialization_commands", "head_start_ray_commands", "worker_start_ray_commands")
COMMANDS += ("cluster_synced_files", "rsync_exclude", "rsync_filter")


@pytest.mark.parametrize(
    ("node", "resources", "slots"),
    [
        ({"CPU": 4.0}, TrialResources(1.0), 4),
        ({"CPU": 4.0}, TrialResources(3.0), 1),
        ({}, TrialResources(1.0), 0),
        ({"CPU": 16.0, "GPU": 2.0}, TrialResources(1.0, 0.4), 4),
        ({"CPU": 2.0, "GPU": 2.0}, TrialResources(1.0, 0.4), 2),
        ({"CPU": 16.0, "GPU": 3.0}, TrialResources(1.0, 2.0), 1),
        ({"CPU": 16.0, "disk": 3.0}, TrialResources(1.0, custom=(("disk", 2.0),)), 1),
    ],
)
def test_slots_of_a_node_are_those_of_its_scarcest_resource(node, resources, slots):
    assert slots_on(node, resources) == slots


def test_a_share_larger_than_what_is_there_is_accepted_where_an_autoscaler_may_bring_it():
    request = ResourceRequest(cpus=8.0, gpus=0.5, custom=(("disk", 1.0),))
    empty = ClusterResources(0.0, 0.0, grows=True)
    check_fits(request, empty)
    resources = allocate(request, empty, trials=10)
    assert (resources.cpus, resources.gpus, resources.max_concurrent) == (8.0, 0.5, 1)


def node(cpus, gpus=0.0, **more):
    """A node that is alive."""
    return ClusterNode("worker", ("worker",), {"CPU": cpus, "GPU": gpus}, **more)


def test_the_limit_follows_nodes_of_every_type_and_stays_while_ray_does_not_answer(monkeypatch):
    monkeypatch.setattr(node_lookup, "PERIOD_SECONDS", 0.0)
    views = iter(
        [
            ConnectionError("GCS is away"),  # before the first answer: what the start said
            [node(2.0)],
            [node(2.0), node(9.0)],  # another type has joined
            RuntimeError("GCS is away"),
            [node(2.0), node(9.0, leaves=True)],
            [],
        ]
    )

    def look_up():
        view = next(views)
        if isinstance(view, Exception):
            raise view
        return view

    resources = TrialResources(2.0, max_concurrent=3)
    lookup = NodeLookup(look_up)
    cluster = ElasticCluster(resources, lookup, limit=None, learns=True, grows=False)
    assert [cluster.max_given_out() for _ in range(6)] == [3, 1, 5, 5, 1, 1]


def autoscaling(address, nodes):
    """Return the autoscaler's configuration: at most `nodes` workers of one CPU, none at first."""
    worker = {"resources": {"CPU": 1, "object_store_memory": 100 * 2**20}, "node_config": {}}
    return {
        "cluster_name": "fake",
        "max_workers": nodes,
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": 5,
        "provider": {  # it does not notice that a node is gone: others have to be left
            "type": "fake_multinode",
            "gcs_address": address,
            "disable_node_updaters": True,  # it would log in to a dead node
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": worker | {"min_workers": 0, "max_workers": nodes},
        },
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in COMMANDS},
        "file_mounts_sync_continuously": False,
    }


@pytest.fixture(scope="module")
def growing():
    """Yield (address, environment, temporary folder) of a cluster without a worker."""
    port, dashboard, client = free_ports(3)
    ip = get_node_ip_address()
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 40}
    environment |= {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
    with TemporaryDirectory(prefix="ray-") as short:  # the names of Ray's sockets have to be short
        config = Path(short, "autoscaler.json")
        config.write_text(json.dumps(autoscaling(f"{ip}:{port}", nodes=3)))
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
        command += ["--disable-usage-stats", "--num-cpus=0", f"--node-ip-address={ip}"]
        command += [f"--port={port}", f"--dashboard-port={dashboard}", f"--temp-dir={short}/r"]
        command += [f"--ray-client-server-port={client}", f"--autoscaling-config={config}"]
        head = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        text = ""
        for line in head.stdout:
            text += line
            if "Ray runtime started" in line:
                break
        else:
            pytest.fail(f"the cluster did not start: {text}")
        try:
            yield f"{ip}:{port}", environment, short
        finally:
            family = psutil.Process(head.pid).children(recursive=True)
            head.send_signal(signal.SIGTERM)
            psutil.wait_procs(family, timeout=20)
            for process in [*family, *users(short)]:
                if process.is_running():
                    process.kill()
            head.wait(30)
            head.stdout.close()


def users(folder):
    """Return the processes with an open file below `folder`: workers outlive a killed raylet."""
    opened = {p: p.info["open_files"] or [] for p in psutil.process_iter(["open_files"])}
    return [p for p, files in opened.items() if any(f.path.startswith(folder) for f in files)]


def raylets(folder):
    """Return the raylets of the workers' nodes of the cluster whose files lie in `folder`."""
    commands = {p: " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])}
    return [
        process
        for process, command in commands.items()
        if "raylet/raylet" in command and folder in command and "internal_head" not in command
    ]


@pytest.mark.ray
@pytest.mark.slow
def test_a_study_waits_for_its_first_node_and_loses_nodes_without_counting_them(
    growing, tmp_path, empty_database
):
    address, environment, folder = growing
    shutil.copy(empty_database, tmp_path)
    (tmp_path / "space.py").write_text(SPACE)
    command = [sys.executable, "-m", "tune_runner", "--space", "space.py", "--name", "e"]
    study = subprocess.Popen(
        [*command, "--address", address],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    text, lost = "", 0
    with study:
        for line in study.stdout:
            text += line
            if line.startswith("[") and lost < 2:  # a trial has ended; another one runs
                nodes = raylets(folder)
                if nodes:
                    nodes[-1].kill()
                    lost += 1
    assert study.returncode == 0, text
    assert lost == 2
    assert "4 complete, 0 running, 0 pruned, 0 failed" in text


@pytest.mark.parametrize(("sampler", "learns"), [("grid", False), ("random", False), ("tpe", True)])
def test_only_proposals_that_depend_on_results_are_held_back(sampler, learns):
    assert StudyPlan(sampler, "none", (1,), 4).learns is learns
