"""Does a study survive being killed? Kills drivers and workers at random moments, and counts harm.

    python benchmarks/kills.py --minutes 10

One study after another runs on Ray, Optuna and MLflow with fake runs (tests/fake_run.py): six
trials of six epochs, two at a time. The driver, or the worker of a trial, gets SIGKILL at a moment
drawn between nothing and the time that a whole study takes; the next driver takes up a dead one's
study. What must hold after each kill is in tests/faults.py; everything it finds is printed.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from tune_runner.execution import environment  # noqa: E402 - before Ray and MLflow are imported

environment.prepare()

import ray  # noqa: E402

from driver import start_driver  # noqa: E402
from fake_run import FakeEngine  # noqa: E402
from faults import Harm, Watch  # noqa: E402
from tune_runner.resources.allocation import ResourceRequest  # noqa: E402
from tune_runner.study.config import StudyConfig  # noqa: E402

SPACE = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(
    name="kills", question="Does it survive?", variant="DiffRec", replicates=2,
    overrides={"training.max_epochs": 6, "training.eval_every": 1},
    domains={"training.learning_rate": Choice(0.5, 0.6, 0.7)},
)
"""
TRIALS = 6
WORKERS_SHARE = 0.3
"""Part of the kills that hit a worker, not the driver."""


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--kills", type=int, default=10_000, help="kills at most")
    made.add_argument("--minutes", type=float, default=10.0, help="no kill after these")
    made.add_argument("--seed", type=int, default=1)
    return made


class Killer:
    """Runs studies to their end and kills what runs them."""

    def __init__(
        self,
        config: StudyConfig,
        backend: FakeEngine,
        cluster: str,
        uri: str,
        chance: random.Random,
    ) -> None:
        self._config, self._backend, self._cluster = config, backend, cluster
        self._uri, self._chance = uri, chance
        self.count, self.harm = Counter(), Counter()
        self._span = 0.0

    def calm(self, name: str) -> float:
        """Run a study that nobody disturbs, to see how long it takes."""
        started = time.monotonic()
        driver = self._start(name, resume=False)
        driver.join()
        if driver.exitcode:
            sys.exit(f"a study that nobody disturbed failed: {Path('driver.out').read_text()}")
        self._span = time.monotonic() - started
        return self._span

    def study(self, name: str, more: Callable[[], bool]) -> None:
        """Run one study to its end, killing as long as `more()` says so."""
        diary = Path(f"{name}.diary")
        watch = Watch(name, self._uri, diary=str(diary.resolve()))
        resume = False
        while True:
            driver = self._start(name, resume=resume)
            killed = False
            while more() and not killed:
                driver.join(self._chance.uniform(0, self._span))
                if not driver.is_alive():
                    break
                if self._chance.random() < WORKERS_SHARE:
                    self._kill_worker(diary)
                else:
                    driver.kill()
                    killed = True
                    self.count["driver"] += 1
            driver.join()
            # a study is there once its description is; before, there is nothing to go on with
            resume = (Path("runs") / name / "study.json").exists()
            if (Path("runs") / name / "study.log").exists():
                self._note(name, watch.harm(ended=not killed))
            if not killed:
                break
        if driver.exitcode or len(watch.trials()) != TRIALS:
            self.harm["not finished"] += 1
            print(f"{name}: {Path('driver.out').read_text()[-2000:]}", flush=True)
        self.count["studies"] += 1

    def _start(self, name: str, *, resume: bool) -> BaseProcess:
        config = replace(self._config, name=name)
        backend = replace(self._backend, diary=str(Path(f"{name}.diary").resolve()))
        return start_driver(config, backend, self._cluster, resume=resume)

    def _kill_worker(self, diary: Path) -> None:
        """Kill who ran the last epoch, if it is there still."""
        lines = diary.read_text().splitlines() if diary.exists() else []
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(int(lines[-1].split()[0]), signal.SIGKILL)
            self.count["worker"] += 1

    def _note(self, name: str, harm: Harm) -> None:
        for field in fields(Harm):
            found = getattr(harm, field.name)
            self.harm[field.name] += len(found)
            if found:
                print(f"{name}: {field.name}: {found}", flush=True)


def main() -> int:
    """Kill for as long as is asked for, and print what came of it."""
    args = parser().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    os.chdir(folder)
    Path("kills.py").write_text(SPACE)
    uri = os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    quiet = {"log_to_driver": False, "logging_level": "error"}
    ray.init("local", num_cpus=2, include_dashboard=False, **quiet)
    address = ray.get_runtime_context().gcs_address
    config = StudyConfig(space="kills.py", name="x", request=ResourceRequest(max_concurrent=2))
    killer = Killer(config, FakeEngine(seconds=0.2), address, uri, random.Random(args.seed))
    killer.calm("warm-up")  # imports the engines, makes MLflow's database
    print(f"a study takes {killer.calm('calm'):.1f} s", flush=True)
    deadline = time.monotonic() + 60 * args.minutes

    def more() -> bool:
        kills = killer.count["driver"] + killer.count["worker"]
        return kills < args.kills and time.monotonic() < deadline

    while more():
        killer.study(f"s{killer.count['studies']}", more)
        print(dict(killer.count), dict(killer.harm), flush=True)
    for what, count in (killer.count + Counter()).items():
        print(f"{what:<14} {count}")
    for what in (*(field.name for field in fields(Harm)), "not finished"):
        print(f"{what:<14} {killer.harm[what]}")
    ray.shutdown()
    shutil.rmtree(folder)
    return int(sum(killer.harm.values()) > 0)


if __name__ == "__main__":
    sys.exit(main())
