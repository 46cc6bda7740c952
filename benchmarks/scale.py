"""Measures the driver's own cost of a large study: 1,000 nodes, up to 10,000 trials, no training.

    python benchmarks/scale.py --trials 1000 3000 --storage journal sqlite postgresql grpc

What is real: the Optuna study in its storage, the controller, the adapters to Ray Tune (searcher,
scheduler, guard), the ledger of node-seconds, the outbox, and MLflow's writer in its thread over a
SQLite file. What is replaced: Ray Tune's own loop, Ray's view of the cluster (a list of nodes of
four CPUs, looked up as often as the real one), and the workers, whose reports come at once. So the
seconds of a trial are those that the driver's main thread needs, waiting for its storage included;
while trials train it has nothing to do. MLflow's seconds are of its thread, which shares the
interpreter: what is left when the last trial has ended is the lag.

`grpc` is Optuna's gRPC proxy in a process of its own, over the same kind of journal file.
`postgresql` needs the server's programs (deploy/postgres.sh). Each case runs in a process.
"""

import argparse
import cProfile
import os
import pstats
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

STORAGES = ("journal", "sqlite", "postgresql", "grpc")
CPUS = 4
REPORTS = 3
SEEDS = 10
HEAD = ("storage", "sampler", "trials", "start s", "ms a trial", "first tenth", "last tenth")
HEAD += ("CPU ms", "ask ms", "report ms", "MLflow CPU ms", "lag s", "MiB")


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    result.add_argument("--trials", type=int, nargs="+", default=[1000])
    result.add_argument("--nodes", type=int, default=1000)
    result.add_argument("--storage", nargs="+", choices=STORAGES, default=["journal"])
    result.add_argument("--sampler", nargs="+", default=["grid"])
    result.add_argument("--no-mlflow", action="store_true", help="leave the record out")
    result.add_argument("--profile", action="store_true", help="show what takes the time")
    result.add_argument("--case", action="store_true", help="run one case in this process")
    return result


class FakeTrial:
    """Stands in for Ray Tune's trial."""

    def __init__(self, key: str) -> None:
        self.trial_id, self.error_file, self.over = key, None, False

    def is_finished(self) -> bool:
        """Return whether Tune has closed it."""
        return self.over


def make_session(folder: Path, trials: int, sampler: str, storage: str | None) -> object:
    """Return a study of so many trials, with ten seeds of every point."""
    from diffrec.data import load_dataset
    from search_spaces import Choice, LogUniform, SearchSpace
    from tune_runner.resources.allocation import ResourceRequest
    from tune_runner.study.config import StudyConfig, make_plan
    from tune_runner.study.folder import StudyFolder
    from tune_runner.study.session import StudySession, describe_study

    rate = "training.learning_rate"
    domain = Choice(*(1e-5 * (i + 1) for i in range(trials // SEEDS)))
    space = SearchSpace(
        name="scale",
        question="How many?",
        variant="DiffRec",
        replicates=SEEDS,
        domains={rate: domain if sampler == "grid" else LogUniform(1e-5, 1e-1)},
        strategy=sampler,
        **({} if sampler == "grid" else {"trials": trials}),
    )
    config = StudyConfig(space="scale", name="scale", storage=storage, runs_dir=str(folder))
    dataset = load_dataset("embedded", None, "published")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    plan = make_plan(config, space)
    session = StudySession(
        config, space, plan, dataset, StudyFolder(folder, "scale"), uri, ResourceRequest()
    )
    session.folder.__enter__()
    session.folder.begin()
    session.folder.write(describe_study(session))
    return session


class Cluster:
    """Runs the groups that the searcher gives out, as Ray Tune would, without training."""

    def __init__(self, controller: object, nodes: int, tick: object) -> None:
        from tune_runner.execution.elastic import ElasticCluster
        from tune_runner.execution.nodes import NodeLookup
        from tune_runner.execution.stop_signals import StopSignals
        from tune_runner.execution.tune_adapters import (
            PruningScheduler,
            StudyGuard,
            StudySearcher,
        )
        from tune_runner.resources.allocation import TrialResources
        from tune_runner.resources.nodes import ClusterNode

        view = [ClusterNode("worker", ("worker",), {"CPU": float(CPUS)}) for _ in range(nodes)]
        self.nodes = NodeLookup(lambda: view)
        resources = TrialResources(float(CPUS), max_concurrent=nodes)
        elastic = ElasticCluster(resources, self.nodes, limit=None, learns=False, grows=False)
        self._controller = controller
        self._searcher = StudySearcher(controller, elastic)
        self._scheduler = PruningScheduler(controller)
        self._guard = StudyGuard(controller, lambda: tick(self.nodes()), StopSignals(print))
        self._trials: list[FakeTrial] = []
        self._chance = random.Random(1)
        self.asks, self.reports, self.ends = 0.0, 0.0, []

    def run(self) -> None:
        """Run the study to its end; at each step one worker reports."""
        from ray.tune.search import Searcher

        from tune_runner.trials.groups import ASSIGNMENT

        running: list[tuple[FakeTrial, object, int]] = []
        while True:
            trial = FakeTrial(f"t{len(self._trials):05d}")
            started = time.perf_counter()
            given = self._searcher.suggest(trial.trial_id)
            self.asks += time.perf_counter() - started
            if isinstance(given, dict):
                self._trials.append(trial)
                self._guard.on_trial_start(0, self._trials, trial)
                running.append((trial, given[ASSIGNMENT].trials[0], 0))
                if len(running) < len(self.nodes()):
                    continue
            elif given == Searcher.FINISHED:
                return
            place = self._chance.randrange(len(running))
            running[place], running[-1] = running[-1], running[place]
            self._step(running)
            self._guard.on_step_end(0, self._trials)

    def _step(self, running: list) -> None:
        """Let the last of the running trials report its next validation."""
        from tune_runner.events import GroupReport, Outcome, TrialReport
        from tune_runner.trials.groups import REPORT

        trial, assigned, epoch = running.pop()
        epoch += 1
        value = self._chance.random()
        rows = {e: {"train/loss": 1.0, "cost/seconds": 1.0} for e in (5 * epoch - 1, 5 * epoch)}
        outcome = None
        if epoch == REPORTS:
            metrics = {"best/epoch": 5.0 * epoch, "best/valid/recall@20": value}
            metrics |= {f"test/recall@{k}": value for k in (10, 20)} | {"cost/seconds": 1.0}
            outcome = Outcome(value, metrics)
        report = GroupReport({assigned.number: TrialReport(5 * epoch, value, rows, outcome)})
        started = time.perf_counter()
        result = {REPORT: report, "done": outcome is not None}
        if outcome is None:
            self._scheduler.on_trial_result(None, trial, result)
            running.append((trial, assigned, epoch))
        else:
            self._searcher.on_trial_complete(trial.trial_id, result)
            trial.over = True
            self.ends.append(time.perf_counter())
        self.reports += time.perf_counter() - started


def run_case(args: argparse.Namespace) -> None:
    """Run one case and print its row."""
    storage, sampler, trials = args.storage[0], args.sampler[0], args.trials[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
        url = open_url(stack, storage, folder)
        session = make_session(folder, trials, sampler, url)
        print(row(session, args), flush=True)


def open_url(stack: ExitStack, storage: str, folder: Path) -> str | None:
    """Return the URL of the study's storage; None for the journal in its folder."""
    if storage == "sqlite":
        return f"sqlite:///{folder / 'optuna.db'}"
    if storage == "postgresql":
        from servers import postgres

        return stack.enter_context(postgres()).url("diffrec")
    if storage == "grpc":
        return start_proxy(stack, folder)
    return None


def start_proxy(stack: ExitStack, folder: Path) -> str:
    """Start Optuna's gRPC proxy over a journal file; let the study's storage be a client of it."""
    from optuna.storages import GrpcStorageProxy

    from servers import free_port, wait_until
    from tune_runner.search import storage as storages

    port = free_port()
    serve = (
        "from optuna.storages import *; from optuna.storages.journal import JournalFileBackend;"
        f"run_grpc_proxy_server(JournalStorage(JournalFileBackend('{folder / 'proxy.log'}')),"
        f"host='127.0.0.1', port={port})"
    )
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", serve])
    stack.callback(server.wait)
    stack.callback(server.kill)
    client = GrpcStorageProxy(host="127.0.0.1", port=port)
    stack.callback(client.close)

    def answers() -> bool:
        try:
            client.wait_server_ready(timeout=60)
        except Exception:  # noqa: BLE001 - grpc's own
            return False
        return True

    wait_until(answers)
    storages.open_storage = lambda url: client
    return "sqlite:////nowhere"  # so that nothing is done to a journal


def row(session: object, args: argparse.Namespace) -> str:
    """Run the study; return its numbers."""
    from tune_runner.checkpoints.retention import CheckpointRetention
    from tune_runner.events import NOTHING_RECORDED
    from tune_runner.resources.allocation import TrialResources
    from tune_runner.resources.spending import Ledger, Spent
    from tune_runner.search import storage as storages
    from tune_runner.search.open_store import open_study_store
    from tune_runner.study.budgets import Budgets
    from tune_runner.trials.controller import StudyController
    from tune_runner.trials.spending import SpendingWatch

    storages.exists = (lambda url: True) if args.storage == ["grpc"] else storages.exists
    began = time.perf_counter()
    store = open_study_store(session, NOTHING_RECORDED)
    start_seconds = time.perf_counter() - began
    tracker = None if args.no_mlflow else open_record(session)
    resources = TrialResources(float(CPUS), max_concurrent=args.nodes)
    budgets = Budgets("0.1")
    ledger = Ledger(budgets.prices, Spent())
    spending = SpendingWatch(budgets, ledger, lambda spent, final: None, resources)
    space, plan = session.space, session.plan
    checkpoints = str(session.folder.checkpoints)
    controller = StudyController(
        store,
        lambda params, seed: space.resolve(params, plan.target, seed=seed),
        objective=space.objective.name,
        checkpoints=checkpoints,
        recorder=tracker,
        callbacks=(spending, CheckpointRetention(checkpoints, store.kept)),
        resources=resources,
    )
    cluster = Cluster(controller, args.nodes, lambda nodes: spending.tick(controller, nodes))
    profile = cProfile.Profile()
    began, own_cpu, all_cpu = time.perf_counter(), time.thread_time(), time.process_time()
    if args.profile:
        profile.enable()
    cluster.run()
    profile.disable()
    seconds, own_cpu = time.perf_counter() - began, time.thread_time() - own_cpu
    assert store.counts()["complete"] == plan.trials, store.counts()
    ends, tenth = cluster.ends, max(1, len(cluster.ends) // 10)
    lag = 0.0
    if tracker is not None:
        closing_began = time.perf_counter()
        assert tracker.close("complete", 600.0) == 0
        lag = time.perf_counter() - closing_began
    mlflow_cpu = time.process_time() - all_cpu - own_cpu
    if args.profile:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(45)
    count = plan.trials
    numbers = (
        f"{start_seconds:.1f}",
        f"{1000 * seconds / count:.1f}",
        f"{1000 * (ends[tenth] - ends[0]) / tenth:.1f}",
        f"{1000 * (ends[-1] - ends[-tenth - 1]) / tenth:.1f}",
        f"{1000 * own_cpu / count:.1f}",
        f"{1000 * cluster.asks / count:.1f}",
        f"{1000 * cluster.reports / count:.1f}",
        f"{1000 * mlflow_cpu / count:.1f}" if tracker else "-",
        f"{lag:.0f}" if tracker else "-",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}",
    )
    return line((args.storage[0], args.sampler[0], str(count), *numbers))


def open_record(session: object) -> object:
    """Return the tracker over MLflow's SQLite file."""
    from tune_runner.resources.allocation import ClusterResources
    from tune_runner.tracking.outbox import Outbox
    from tune_runner.tracking.tracker import open_tracker, open_writer

    with closing(Outbox(session.folder.outbox)):
        pass
    return open_tracker(session, ClusterResources(4000.0, 0.0), open_writer(session))


def line(cells: tuple[str, ...]) -> str:
    """Return a row of the table."""
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run every case in a process of its own; print the table."""
    args = parser().parse_args()
    if args.case:
        run_case(args)
        return
    from measuring import machine

    print(machine())
    print(line(HEAD), line(("---",) * len(HEAD)), sep="\n", flush=True)
    flags = ["--no-mlflow"] * args.no_mlflow + ["--profile"] * args.profile
    for storage in args.storage:
        for sampler in args.sampler:
            for trials in args.trials:
                case = ["--trials", str(trials), "--storage", storage, "--sampler", sampler]
                command = [sys.executable, __file__, "--case", *case, *flags]
                subprocess.run([*command, "--nodes", str(args.nodes)], check=True)


if __name__ == "__main__":
    main()
