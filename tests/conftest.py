"""What all tests share: quiet, repeatable property tests, one thread per process, two workers."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# The same examples in every run: a red suite must be red again on the next machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Give one worker all tests that need Ray, first, and the others whole modules.

    Ray's tests share one cluster and mostly wait; what module fixtures compute is computed once.
    """
    items.sort(key=lambda item: not _needs_ray(item))
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        group = "ray" if _needs_ray(item) else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))


def _needs_ray(item):
    names = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("ray") is not None or bool(names & {"ray_local", "ray_cluster"})
