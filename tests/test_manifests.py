"""Files of deploy/ against the schemas of those who read them, and the image's lines one by one."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from ray.autoscaler._private.util import prepare_config, validate_config

from kuberay_schema import KINDS

REPOSITORY = Path(__file__).parents[1]
DEPLOY = REPOSITORY / "deploy"
KUBERNETES = "1.34"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / "kuberay" / name).read_text()))


def templates(document):
    """Yield the pod templates of an object of KubeRay's."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "template":
                yield value
            else:
                yield from templates(value)
    elif isinstance(document, list):
        for part in document:
            yield from templates(part)


def check_kubernetes(document):
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def check_pods(document):
    """Check the pod templates of an object of KubeRay's; return how many there are."""
    found = list(templates(document))
    for template in found:
        head = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}}
        check_kubernetes(head | {"template": template})
    return len(found)


def check_cluster(document):
    jsonschema.validate(document, KINDS[document["kind"]])
    assert check_pods(document) == 2


def test_services_follow_kubernetes_own_schema():
    for document in documents("services.yaml"):
        check_kubernetes(document)


@pytest.mark.parametrize("name", ["cluster.yaml", "job.yaml"])
def test_clusters_and_jobs_follow_kuberays_schema_and_their_pods_kubernetes(name):
    (document,) = documents(name)
    check_cluster(document)


def test_the_autoscaler_is_on_and_may_start_from_no_worker():
    (cluster,) = documents("cluster.yaml")
    assert cluster["spec"]["enableInTreeAutoscaling"] is True
    (group,) = cluster["spec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["replicas"]) == (0, 0)


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("spec", "headGroupSpec", "rayStartParams", "num-cpus"), 0),  # KubeRay takes text alone
        (("spec", "authOption"), {"mode": "token"}),
        (("spec", "authOptions", "mode"), "password"),
        (("spec", "workerGroupSpecs", 0, "maxReplicas"), "8"),
        (("spec", "workerGroupSpecs", 0, "replica"), 1),
        (("apiVersion",), "ray.io/v1alpha1"),
        (("spec", "headGroupSpec", "template", "spec", "container"), []),
        (("spec", "headGroupSpec", "template", "spec", "containers", 0, "ports"), 6379),
    ],
)
def test_a_wrong_manifest_would_be_noticed(place, wrong):
    (document,) = documents("cluster.yaml")
    *path, last = place
    part = document
    for step in path:
        part = part[step]
    part[last] = wrong
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check_cluster(document)


def test_ray_up_accepts_the_cluster_file_after_filling_in_its_own_defaults():
    config = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    prepared = prepare_config(config)
    validate_config(prepared)
    (workers,) = prepared["available_node_types"].values()
    assert workers["max_workers"] == len(config["provider"]["worker_ips"])


def instructions():
    """Return the instructions of the Dockerfile: (name, rest)."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def test_the_image_begins_with_rays_own_of_a_python_that_the_project_allows():
    (_, image), *_ = instructions()
    version, python, device = re.fullmatch(
        r"rayproject/ray:([\d.]+)-py(\d+)-(cpu|gpu)", image
    ).groups()
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python[0]}.{python[1:]}")
    needed = next(r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "ray")
    assert needed.specifier.contains(version)
    assert device == "cpu"


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """The files that COPY would copy: those that git has, without what .dockerignore names."""
    folder = tmp_path_factory.mktemp("image")
    ignored = [  # as Docker reads it: a name is of the root, **/ of any folder
        line.strip().rstrip("/")
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = REPOSITORY / name
        parts = Path(name).parts
        patterns = {parts[0], *(f"**/{part}" for part in parts)}
        if source.is_file() and not patterns & set(ignored):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(source.read_bytes())
    return folder


@pytest.mark.slow
def test_every_line_of_the_image_works_on_the_files_that_it_copies(context, tmp_path):
    """The same pip command, on the same files; the dependencies are those installed here."""
    (_, copied), (_, run) = instructions()[1:]
    owner, source, target = shlex.split(copied)
    assert (owner, source) == ("--chown=ray", ".")
    pip, install, cache, requested = shlex.split(run)
    assert (pip, install, cache) == ("pip", "install", "--no-cache-dir")
    path, extra = re.fullmatch(r"(.+)\[(\w+)\]", requested).groups()
    assert path == target
    assert extra in PROJECT["optional-dependencies"]
    # pip builds a wheel in the folder with setuptools and unpacks it; a venv of uv's has no pip
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    wheels.mkdir()
    subprocess.run(
        [sys.executable, "-c", build, str(wheels)], cwd=context, check=True, capture_output=True
    )
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (metadata,) = site.glob("*.dist-info")
    points = PathDistribution(metadata).entry_points
    commands = {point.name: point.module for point in points if point.group == "console_scripts"}
    assert set(commands) == {"diffrec-tune", "diffrec", "diffrec-report"}
    for module in commands.values():
        assert (site / module.replace(".", "/")).with_suffix(".py").exists() or (
            site / module.replace(".", "/")
        ).is_dir()
    shown = subprocess.run(
        [sys.executable, "-m", "tune_runner", "--list", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"smoke", "joint"} <= {space["name"] for space in json.loads(shown.stdout)}
    data = ["analysis/report/page.css", "analysis/report/page.html.jinja", "tune_runner/py.typed"]
    assert all((site / name).exists() for name in data)


def test_what_the_images_pip_command_would_install_besides_is_what_is_installed_here():
    (_, run) = instructions()[2]
    extra = re.search(r"\[(\w+)\]", run)[1]
    for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]:
        needed = Requirement(text)
        assert needed.specifier.contains(distribution(needed.name).version), text


def test_the_readme_and_the_cluster_files_name_extras_that_exist():
    places = [REPOSITORY / "README.md", *DEPLOY.rglob("*"), *(REPOSITORY / "docs").rglob("*.md")]
    text = "\n".join(p.read_text(errors="replace") for p in places if p.is_file())
    named = set(re.findall(r"(?:diffrec-tune['\"]?|-e '?\.)\[([\w,]+)\]", text))
    assert named
    assert set(",".join(named).split(",")) <= set(PROJECT["optional-dependencies"])
