"""What all tests share: quiet, repeatable property tests, one thread per process, three workers."""

import os
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# The same examples in every run: a red suite must be red again on the next machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items):
    """Put the files that need Ray first: they mostly wait, so they take longest."""
    items.sort(key=lambda item: not _use_of_ray(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give one worker all files that share a Ray, one those that start their own, others the rest.

    Both mostly wait. Whole files: what a module's fixtures compute is computed once.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::", 1)[0]
            return _use_of_ray(ROOT / file) or file

    return ByFile(config, log)


@cache
def _use_of_ray(path):
    text = path.read_text()
    if any(fixture in text for fixture in ("ray_local", "ray_cluster")):
        return "shared Ray"
    return "own Ray" if "mark.ray" in text else ""


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """An MLflow database without a study, to be copied: making one takes MLflow seconds."""
    from tune_runner.tracking.database import make_database

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    make_database(path)
    return path


@pytest.fixture(scope="session")
def outside_packages(tmp_path_factory):
    """A folder that the recommenders of docs/examples are installed in."""
    from outside import install

    return install(tmp_path_factory.mktemp("outside") / "site")
