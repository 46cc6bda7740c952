"""What all tests share: quiet, repeatable property tests, one thread per process, two workers."""

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
    items.sort(key=lambda item: not _needs_ray(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give one worker all files that need Ray, and the other workers whole files.

    Ray's tests share one cluster; what a module's fixtures compute is computed once.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::", 1)[0]
            return "ray" if _needs_ray(ROOT / file) else file

    return ByFile(config, log)


@cache
def _needs_ray(path):
    text = path.read_text()
    return any(word in text for word in ("mark.ray", "ray_local", "ray_cluster"))


@pytest.fixture(scope="session")
def outside_packages(tmp_path_factory):
    """A folder that the recommenders of docs/examples are installed in."""
    from outside import install

    return install(tmp_path_factory.mktemp("outside") / "site")
