"""A study's driver as a process of its own, on fake runs: to be killed, again and again.

Forked from a process that has imported the engines, since importing them takes longer than a study
of fake runs. The caller has Ray running, and its settings (tune_runner.execution.environment).
"""

import multiprocessing
import os
import sys
from pathlib import Path

import ray

import fake_run
from tune_runner import runner

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["driver", "tune_runner.execution.tune_run", "tune_runner.tracking.mlflow_writer"]
)


def start_driver(config, backend, cluster, *, resume=False, output="driver.out"):
    """Start the driver of a study here, on Ray at `cluster`; its output goes to the file `output`.

    It joins Ray itself, so the packages of this project are not sent there each time.
    """
    folders = map(str, (Path(__file__).parent, Path(__file__).parents[1]))
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)  # for the process to fork from
    arguments = (config, backend, cluster, resume, str(Path.cwd()), dict(os.environ), output)
    process = _CONTEXT.Process(target=_drive, args=arguments)
    process.start()
    return process


def _drive(config, backend, cluster, resume, folder, environment, output):
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(fake_run)  # workers do not have tests/ in their path
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with Path(output).open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    ray.init(cluster, log_to_driver=False, logging_level="error")
    runner._print_report = lambda session: None  # a process of its own, of another room
    sys.exit(runner.run_study(config, resume=resume, backend=backend, measure=fake_run.doubled))
