"""The files of deploy/: valid for those who read them, and true to this project."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import jsonschema
import psutil
import pytest
import ray.autoscaler
import yaml

from servers import free_port, wait_until
from tune_runner.cli.arguments import parser
from tune_runner.study.urls import check_url

REPOSITORY = Path(__file__).parents[1]
DEPLOY = REPOSITORY / "deploy"
KUBERAY = DEPLOY / "kuberay"
RAY_SCHEMA = Path(ray.autoscaler.__file__).with_name("ray-schema.json")


def documents(name):
    return list(yaml.safe_load_all((KUBERAY / name).read_text()))


def containers(document):
    """Return the containers of every pod template in a document, with the template's volumes."""
    if isinstance(document, dict):
        if "containers" in document:
            yield from ((c, document.get("volumes", [])) for c in document["containers"])
        document = document.values()
    if not isinstance(document, str | int | bool | float):
        for part in document:
            yield from containers(part)


def commands(text):
    """Return the commands of ours in a file: the arguments after `python -m tune_runner`."""
    plain = re.sub(r"\\\n#", " ", text)
    commands_found = re.findall(r"python -m tune_runner (.*(?:\n    --.*)*)", plain)
    assert commands_found
    return [shlex.split(command) for command in commands_found]


def test_the_cluster_file_follows_rays_own_schema():
    config = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    jsonschema.validate(config, json.loads(RAY_SCHEMA.read_text()))
    assert "~/.ray/auth_token" in config["file_mounts"]
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)


def test_a_wrong_cluster_file_would_be_noticed():
    config = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text()) | {"heads": 1}
    with pytest.raises(jsonschema.ValidationError, match="heads"):
        jsonschema.validate(config, json.loads(RAY_SCHEMA.read_text()))


def test_job_and_cluster_run_on_the_same_machines():
    (cluster,), (job,) = documents("cluster.yaml"), documents("job.yaml")
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]
    spec = cluster["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_rays_version_is_the_one_that_the_project_allows():
    needed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    allowed = next(line for line in needed if line.startswith("ray["))
    series = re.search(r">=(\d+\.\d+)", allowed)[1]
    versions = [documents(name)[0]["spec"] for name in ("cluster.yaml", "job.yaml")]
    ray_versions = {spec.get("rayClusterSpec", spec)["rayVersion"] for spec in versions}
    ray_versions |= set(re.findall(r"rayproject/ray:([\d.]+)", (DEPLOY / "Dockerfile").read_text()))
    assert {version.rpartition(".")[0] for version in ray_versions} == {series}


def test_volumes_secrets_and_services_exist():
    services = documents("services.yaml")
    everything = [*services, *documents("cluster.yaml"), *documents("job.yaml")]
    names = {(d["kind"], d["metadata"]["name"]) for d in services}
    assert "Secret" not in {kind for kind, _ in names}, "a password does not belong into a file"
    for container, volumes in containers(everything):
        claims = {v["name"]: v for v in volumes}
        for mount in container.get("volumeMounts", []):
            volume = claims.get(mount["name"])
            if volume is None:  # a claim that the StatefulSet makes for each of its pods
                assert mount["name"] == "data"
            elif "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            else:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in names
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                secret = variable["valueFrom"]["secretKeyRef"]
                assert secret == {"name": "diffrec-database", "key": "password"}
    for document in services:
        if document["kind"] in ("Deployment", "StatefulSet"):
            spec = document["spec"]
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"] == labels
            assert ("Service", labels["app"]) in names


@pytest.mark.parametrize("name", ["ray-cluster.yaml", "kuberay/cluster.yaml", "kuberay/job.yaml"])
def test_the_commands_are_ours(name):
    for arguments in commands((DEPLOY / name).read_text()):
        parsed = parser().parse_args(arguments)
        assert parsed.space == "joint"
        assert Path(parsed.runs_dir).expanduser().is_absolute()
        if parsed.storage is not None:
            check_url(parsed.storage)
            services = {d["metadata"]["name"] for d in documents("services.yaml")}
            assert re.search(r"@([\w-]+)/", parsed.storage)[1] in services


@pytest.mark.parametrize("name", ["services.yaml", "cluster.yaml", "job.yaml"])
def test_no_pod_runs_as_root_and_every_image_has_a_version(name):
    def pods(document):
        if isinstance(document, dict):
            if "containers" in document:
                yield document
            document = list(document.values())
        if isinstance(document, list):
            for part in document:
                yield from pods(part)

    matching = [pod for document in documents(name) for pod in pods(document)]
    assert matching
    for pod in matching:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert re.search(r":\d+\.\d+(\.\d+)?$", container["image"])
        if pod["containers"][0]["name"] == "ray-worker":
            assert "env" not in pod["containers"][0], "the driver alone writes to the databases"


def test_databases_are_reached_by_studies_alone():
    policies = [d for d in documents("services.yaml") if d["kind"] == "NetworkPolicy"]
    guarded = {d["spec"]["podSelector"]["matchLabels"]["app"] for d in policies}
    services = {d["metadata"]["name"] for d in documents("services.yaml") if d["kind"] == "Service"}
    assert guarded == services
    assert all(rule["from"] for d in policies for rule in d["spec"]["ingress"])


class Metrics(BaseHTTPRequestHandler):
    """Stands in for a node's endpoint: one gauge."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'ray_diffrec_study_best{Study="s"} 0.5\n')

    def log_message(self, *_):
        """Say nothing."""


@pytest.mark.slow
def test_prometheus_finds_the_gauges_of_a_study_and_listens_on_loopback_alone(tmp_path):
    """What monitor.sh starts asks the endpoints in the file that a local Ray writes."""
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed")
    ray = tmp_path / f"diffrec-{os.geteuid()}" / "ray"
    ray.mkdir(parents=True)
    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    Thread(target=endpoint.serve_forever, daemon=True).start()
    target = [{"labels": {"job": "ray"}, "targets": [f"127.0.0.1:{endpoint.server_port}"]}]
    (ray / "prom_metrics_service_discovery.json").write_text(json.dumps(target))
    port = free_port()
    monitor = subprocess.Popen(
        [DEPLOY / "monitor.sh", tmp_path / "kept", str(port)],
        env=os.environ | {"RAY_TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )
    query = f"http://127.0.0.1:{port}/api/v1/query?query=ray_diffrec_study_best"

    def value():
        assert monitor.poll() is None
        try:
            with urllib.request.urlopen(query, timeout=10) as answer:
                return [r["value"][1] for r in json.load(answer)["data"]["result"]]
        except OSError:  # it is starting
            return []

    try:
        wait_until(lambda: value() == ["0.5"])
        servers = psutil.Process(monitor.pid).children()
        listening = {
            connection.laddr.ip
            for server in servers
            for connection in server.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
    finally:
        monitor.terminate()
        monitor.wait(60)
        endpoint.shutdown()
        endpoint.server_close()
    assert not any(server.is_running() for server in servers)


def test_prometheus_accepts_its_settings():
    """promtool reads the file as Prometheus does; the command in it listens on loopback."""
    text = (DEPLOY / "prometheus.yml").read_text()
    assert "--web.listen-address=127.0.0.1:" in text
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    command = ["promtool", "check", "config", DEPLOY / "prometheus.yml"]
    subprocess.run(command, check=True, capture_output=True)
