"""Runs a study on fake runs as a process of its own: python drive.py SPACE NAME new|resume."""

import sys

import ray

from fake_run import FakeEngine
from tune_runner.placement import Wish
from tune_runner.settings import StudyConfig
from tune_runner.study import run_study

if __name__ == "__main__":
    space, name, mode = sys.argv[1:]
    # the dashboard would cost seconds
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    config = StudyConfig(space=space, name=name, wish=Wish(max_concurrent=1))
    sys.exit(run_study(config, resume=mode == "resume", engine=FakeEngine(seconds=0.3)))
