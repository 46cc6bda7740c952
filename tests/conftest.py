"""What all tests share: quiet, repeatable property tests and one thread per process."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# The same examples in every run: a red suite must be red again on the next machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
