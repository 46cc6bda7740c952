"""Kills drivers, workers and Ray's own processes of studies, and counts the harm.

    python benchmarks/kills.py --drivers 20 --early 10 --workers 10 --raylets 3 --gcs 3

Studies of 18 trials are run by the command itself: real training, real Ray, Optuna and MLflow.
An early kill hits a driver in the first 20 seconds of a new folder, whatever it does then; the
others hit a study whose trials are running. Every study is resumed until it ends.
tests/faults.py defines what must hold after each kill. With `--state FILE` the counts continue
those of an earlier call; `--minutes` ends this one after the current study.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import psutil  # noqa: E402 - after the path

from faults import WORKER, Harm, Watch  # noqa: E402
from tune_runner import exit_codes  # noqa: E402

SPACE = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(
    name="kills", question="Does it survive?", variant="DiffRec", replicates=6,
    overrides={"training.max_epochs": 240, "training.eval_every": 6, "training.patience": 240},
    domains={"training.learning_rate": Choice(0.001, 0.002, 0.003)},
)
"""
TRIALS = 18
EARLY_SECONDS = 20.0
KINDS = ("early", "raylets", "gcs", "drivers", "drivers", "drivers", "workers")
"""Kills of one study, in order, as long as more of the kind are wanted. A driver survives its
worker and ends the study, so that kill is the last."""

PROCESS = {"raylets": "raylet", "gcs": "gcs_server"}
HARM = (*(field.name for field in fields(Harm)), "not finished", "orphans", "traceback")


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    result.add_argument("--drivers", type=int, default=20, help="kills of a driver at work")
    result.add_argument("--early", type=int, default=10, help="kills of a driver that begins")
    result.add_argument("--workers", type=int, default=10, help="kills of a worker")
    result.add_argument("--raylets", type=int, default=3, help="kills of the raylet")
    result.add_argument("--gcs", type=int, default=3, help="kills of the GCS")
    result.add_argument("--minutes", type=float, default=60.0, help="begin no study after these")
    result.add_argument("--seed", type=int, default=1)
    result.add_argument("--state", type=Path, help="file of counts to continue")
    return result


class Study:
    """One study, started again after each kill."""

    def __init__(self, name: str, uri: str, chance: random.Random) -> None:
        self._name, self._chance = name, chance
        self._folder = Path("runs") / name
        self._watch = Watch(name, uri)
        self._output = Path(f"{name}.out")
        self._finished: set[int] = set()
        self._read = 0
        self._families: list[psutil.Process] = []
        self.harm: Counter[str] = Counter()

    def kill(self, kind: str) -> bool:
        """Run the study and kill a process of that kind; return False if the study ended before."""
        driver = self._start()
        processes: list[psutil.Process] = []
        if kind == "early":
            is_running = self._after(driver, self._chance.uniform(0.5, EARLY_SECONDS))
        else:
            delay = self._chance.uniform(0.0, 8.0)
            is_running = self._at_work(driver) and self._after(driver, delay)
        if not is_running:
            self.check(ended=True)
            return False
        process = psutil.Process(driver.pid)
        processes = process.children(recursive=True)
        victims = {
            "workers": [p for p in processes if WORKER.match(_title(p))],
            **{k: [p for p in processes if p.name() == name] for k, name in PROCESS.items()},
        }.get(kind, [process])
        if not victims:
            driver.wait()
            self.check(ended=True)
            return False
        self._chance.choice(victims).kill()
        code = driver.wait()
        if kind in PROCESS and code != exit_codes.FAILED:
            self._note("traceback", [f"exit code {code} after a lost {kind}"])
        self._families += processes
        self.check(ended=kind == "workers" and code == 0)
        return True

    def finish(self) -> None:
        """Run the study to its end."""
        code = self._start().wait()
        self.check(ended=True)
        if code or len(self._watch.trials()) != TRIALS:
            self._note("not finished", [f"exit code {code}"])
        # Ray's agents notice the death of their raylet after up to 100 seconds.
        _, alive = psutil.wait_procs(self._families, timeout=150)
        self._note("orphans", [process.name() for process in alive])

    def check(self, *, ended: bool) -> None:
        """Look for harm while no driver is at work."""
        if (self._folder / "study.log").exists() and Path("mlflow.db").exists():
            harm = self._watch.harm(ended=ended)
            for field in fields(Harm):
                self._note(field.name, getattr(harm, field.name))
            self._note("run_twice", self._begun_again())
        if "Traceback" in self._output.read_text(errors="replace"):
            self._note("traceback", [self._output.read_text(errors="replace")[-3000:]])

    def _begun_again(self) -> list[int]:
        """Return finished trials that were started again since the last look."""
        path = self._folder / "tracking.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        messages = [json.loads(line) for line in lines[self._read :] if line.endswith("}")]
        restarted = [
            m["trial"] for m in messages if m["what"] == "start" if m["trial"] in self._finished
        ]
        self._finished |= {t.number for t in self._watch.trials() if t.state.is_finished()}
        self._read = len(lines)
        return restarted

    def _start(self) -> subprocess.Popen:
        exists = (self._folder / "study.json").exists()
        mode = ["--resume", self._name] if exists else ["--space", "kills.py", "--name", self._name]
        with self._output.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "tune_runner", *mode, "--max-concurrent", "2"],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def _at_work(self, driver: subprocess.Popen) -> bool:
        """Wait for an epoch of this driver's; return False if it ended before."""
        before = _size(self._folder / "study.log")
        while driver.poll() is None:
            text = self._output.read_text(errors="replace")
            if "loading torch" in text and _size(self._folder / "study.log") > before + 300:
                return True
            time.sleep(0.1)
        return False

    @staticmethod
    def _after(driver: subprocess.Popen, seconds: float) -> bool:
        """Wait; return False if the driver ended before."""
        try:
            driver.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _note(self, kind: str, items: object) -> None:
        if items:
            self.harm[kind] += len(items)
            print(f"{self._name}: {kind}: {items}", flush=True)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main() -> int:
    """Kill as often as requested, and print the counts."""
    args = parser().parse_args()
    state = args.state
    saved = json.loads(state.read_text()) if state and state.exists() else {}
    count, harm = Counter(saved.get("count", {})), Counter(saved.get("harm", {}))
    deadline = time.monotonic() + 60 * args.minutes
    state = None if state is None else state.resolve()
    while any(count[k] < getattr(args, k) for k in KINDS) and time.monotonic() < deadline:
        # a path of its own: this process keeps its connection to a database that was removed
        folder = Path(tempfile.mkdtemp(prefix="kills-"))
        os.chdir(folder)
        Path("kills.py").write_text(SPACE)
        chance = random.Random(f"{args.seed}/{count['studies']}")
        study = Study(f"s{count['studies']}", f"sqlite:///{folder / 'mlflow.db'}", chance)
        for kind in KINDS:
            if count[kind] < getattr(args, kind) and study.kill(kind):
                count[kind] += 1
        study.finish()
        count["studies"] += 1
        harm += study.harm
        if state is not None:
            state.write_text(json.dumps({"count": count, "harm": harm}))
        print(dict(count), dict(harm), flush=True)
        os.chdir("/")
        shutil.rmtree(folder)
    for name in (*dict.fromkeys(KINDS), "studies"):
        print(f"{name:<14} {count[name]}")
    for name in HARM:
        print(f"{name:<14} {harm[name]}")
    return int(sum(harm.values()) > 0)


if __name__ == "__main__":
    sys.exit(main())
