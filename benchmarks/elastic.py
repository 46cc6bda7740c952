"""Takes a cluster away from under a study: 0, 4, 1 and 3 nodes, and 30 random kills.

    python benchmarks/elastic.py --kills 30 --trials 60 --minutes 4 --state elastic.json

The command itself runs a study of 60 trials (real training, Ray, Optuna and MLflow) on a cluster
of one-core nodes, which are processes of this machine. A kill hits a random node (its raylet,
SIGKILL; another one joins soon after) or a random worker. `--minutes` interrupts the study after so
long, and the next call with the same `--state` resumes it: kills and what was spent are kept.

What must hold at the end: no trial has failed, every trial has each of its epochs once in MLflow,
and both records agree (tests/faults.py); of the node-seconds that were held at least nine tenths
were used, as the study's own ledger counts them (`study.json`).
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 40}
os.environ |= {  # a lost node is noticed after two seconds
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
}

import psutil  # noqa: E402 - after the path

from faults import WORKER, Harm, Watch  # noqa: E402

SIZES = (0, 4, 1, 3)
"""Nodes of the phases, one after the other; the last one stays."""

SPACE = """
from search_spaces import Choice, SearchSpace
SPACE = SearchSpace(
    name="elastic", question="Does it survive lost nodes?", variant="DiffRec", replicates={seeds},
    overrides={{"training.max_epochs": {epochs}, "training.eval_every": 4,
               "training.patience": {epochs}}},
    domains={{"training.learning_rate": Choice(0.001, 0.002, 0.003, 0.004, 0.005, 0.006)}},
)
"""


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    result.add_argument("--trials", type=int, default=60, help="a multiple of six")
    result.add_argument("--epochs", type=int, default=160)
    result.add_argument("--kills", type=int, default=30)
    result.add_argument("--pause", type=float, default=8.0, help="mean seconds between two kills")
    result.add_argument("--minutes", type=float, default=60.0, help="interrupt after these")
    result.add_argument("--seed", type=int, default=1)
    result.add_argument("--state", type=Path, help="file to continue from")
    return result


class Nodes:
    """The cluster: a head without cores, and nodes of one core each."""

    def __init__(self) -> None:
        import ray._private.utils
        from ray.cluster_utils import Cluster

        ray._private.utils.write_ray_address = lambda *_: None  # others must not join it
        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list = []
        self.address = self._cluster.address

    def resize(self, count: int) -> None:
        """Let nodes join, or take the last ones away."""
        while len(self._nodes) < count:
            self._nodes.append(self._cluster.add_node(num_cpus=1, wait=False))
        while len(self._nodes) > count:
            self._kill(self._nodes.pop())

    def kill_one(self, chance: random.Random) -> bool:
        """Kill a random node without a word; return False if there is none."""
        if not self._nodes:
            return False
        self._kill(self._nodes.pop(chance.randrange(len(self._nodes))))
        return True

    def close(self) -> None:
        """End all of its processes."""
        self._cluster.shutdown()

    @staticmethod
    def _kill(node: object) -> None:
        for process in node.all_processes.get("raylet", []):
            workers = psutil.Process(process.process.pid).children(recursive=True)
            process.process.kill()
            for worker in workers:  # they would notice after a while
                with suppress(psutil.NoSuchProcess):
                    worker.kill()


def kill_worker(chance: random.Random) -> bool:
    """Kill a random worker that trains, of this cluster; return False if none does."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if WORKER.match(" ".join(process.cmdline())):
                found.append(process)
    if not found:
        return False
    chance.choice(found).kill()
    return True


def start_study(folder: Path, address: str) -> subprocess.Popen:
    """Start the study, or resume it."""
    exists = (folder / "runs" / "e" / "study.json").exists()
    mode = ["--resume", "e"] if exists else ["--space", "elastic.py", "--name", "e"]
    with (folder / "out").open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "tune_runner", *mode, "--address", address],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def play(args: argparse.Namespace, state: dict, study: subprocess.Popen, nodes: Nodes) -> None:
    """Change the cluster and kill until the study ends or the time is over."""
    deadline = time.monotonic() + 60 * args.minutes
    chance = random.Random(f"{args.seed}/{state['pieces']}")
    while study.poll() is None and time.monotonic() < deadline:
        done = state["kills"] / max(1, args.kills)
        phase = min(len(SIZES) - 1, 1 + int(3 * done)) if state["ready"] else 0
        nodes.resize(SIZES[phase])
        if not state["ready"]:  # the study waits for its first node
            text = (Path(state["folder"]) / "out").read_text(errors="replace")
            state["ready"] = "loading torch" in text
            time.sleep(1)
            continue
        with suppress(subprocess.TimeoutExpired):
            study.wait(chance.expovariate(1 / args.pause) + 2)
            return
        if state["kills"] < args.kills:
            of_node = chance.random() < 0.5
            kind = "nodes" if of_node else "workers"
            if nodes.kill_one(chance) if of_node else kill_worker(chance):
                state["kills"] += 1
                state[kind] += 1
    if study.poll() is None:
        study.send_signal(signal.SIGINT)
        study.wait()


def judge(state: dict, args: argparse.Namespace) -> bool:
    """Print the numbers; return whether all holds that must."""
    folder = Path(state["folder"])
    os.chdir(folder)
    watch = Watch("e", f"sqlite:///{folder / 'mlflow.db'}")
    states = [trial.state.name for trial in watch.trials()]
    over = len(states) == args.trials and not {"RUNNING", "WAITING"} & set(states)
    harm = watch.harm(ended=True)
    _, runs, client = watch.runs()
    wrong = []
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "train/loss")
        epochs = sorted(metric.step for metric in history)
        complete = run.data.tags["state"] == "complete"
        if epochs != list(range(1, 1 + (args.epochs if complete else len(epochs)))):
            wrong.append(run.info.run_name)
    spent = json.loads((folder / "runs" / "e" / "study.json").read_text())["spent"]
    used = spent["used_seconds"] / max(1.0, spent["room_seconds"])
    rows = {
        "trials complete": f"{states.count('COMPLETE')} of {args.trials}",
        "trials failed": states.count("FAIL"),
        "kills": f"{state['kills']} ({state['nodes']} nodes, {state['workers']} workers)",
        "pieces": state["pieces"],
        "epochs lost or doubled": wrong,
        "harm": [] if harm == Harm() else harm,
        "node-seconds held": round(spent["room_seconds"]),
        "node-seconds used": f"{spent['used_seconds']:.0f} ({used:.1%})",
    }
    for name, value in rows.items():
        print(f"{name:<24} {value}")
    if over:
        shutil.rmtree(folder)
    return "FAIL" not in states and not wrong and harm == Harm() and (not over or used >= 0.9)


def main() -> int:
    """Run a piece, or all of it; print the numbers."""
    args = parser().parse_args()
    saved = args.state is not None and args.state.exists()
    state = json.loads(args.state.read_text()) if saved else {}
    if not state:
        folder = tempfile.mkdtemp(prefix="elastic-")
        state = {"folder": folder, "kills": 0, "nodes": 0, "workers": 0, "pieces": 0}
        text = SPACE.format(seeds=args.trials // 6, epochs=args.epochs)
        Path(folder, "elastic.py").write_text(text)
    state |= {"ready": False, "pieces": state["pieces"] + 1}
    Path(state["folder"], "out").write_text("")
    nodes = Nodes()
    try:
        study = start_study(Path(state["folder"]), nodes.address)
        try:
            play(args, state, study, nodes)
        finally:
            if study.poll() is None:
                study.kill()
                study.wait()
    finally:
        nodes.close()
    if args.state is not None:
        args.state.write_text(json.dumps(state))
    return 0 if judge(state, args) else 1


if __name__ == "__main__":
    sys.exit(main())
