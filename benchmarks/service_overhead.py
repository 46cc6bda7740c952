"""Overhead of the service over Ray Tune alone, measured with an empty objective.

    python benchmarks/service_overhead.py [--trials 100] [--reports 5] [--concurrent 2]

Both run on the same Ray, one after the other. A trial's seconds are those from the end of the
first trial to the end of the last, divided by the trials in between, so that start-up is left out;
`--concurrent` trials run at a time. Beside them stand the driver's CPU seconds, which depend less
on what else the machine does.
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tune_runner.execution import environment
from tune_runner.search import storage

environment.prepare()  # before Ray is imported

import optuna  # noqa: E402
import ray  # noqa: E402
from ray import tune  # noqa: E402

from diffrec.training.fused.runs import FusedRuns  # noqa: E402
from tune_runner import runner  # noqa: E402
from tune_runner.resources.allocation import ResourceRequest  # noqa: E402
from tune_runner.study.config import StudyConfig  # noqa: E402

OBJECTIVE = "valid/recall@20"

SPACE = """
from search_spaces import LogUniform, SearchSpace
SPACE = SearchSpace(
    name="empty", question="What does the service cost?", variant="DiffRec", strategy="tpe",
    trials={trials}, pruner="median", start_published=False,
    overrides={{"training.max_epochs": {reports}, "training.eval_every": 1}},
    domains={{"training.learning_rate": LogUniform(1e-5, 1e-2)}},
)
"""


@dataclass
class EmptyRun:
    """Follows the contract of a training run and does nothing."""

    reports: int
    epoch: int = 0
    finished: bool = False
    best_epoch: int = 0
    best_metrics: dict[str, float] = field(default_factory=dict)

    def next_epoch(self) -> SimpleNamespace:
        """Return an epoch of the same course for every trial, so that none is pruned."""
        self.epoch += 1
        self.finished = self.epoch >= self.reports
        self.best_epoch, self.best_metrics = self.epoch, {OBJECTIVE: float(self.epoch)}
        return SimpleNamespace(
            epoch=self.epoch,
            loss=0.0,
            seconds=0.0,
            metrics=self.best_metrics,
            is_best=True,
            finished=self.finished,
        )

    def weight_trajectory(self) -> None:
        """Return none: nothing is learned."""

    def state_dict(self) -> dict[str, object]:
        """Return what a checkpoint holds."""
        return {"epoch": self.epoch, "finished": self.finished}

    def load_state_dict(self, state: dict[str, object], done: object) -> None:
        """Refuse: no trial of a benchmark is resumed."""
        raise NotImplementedError


@dataclass(frozen=True)
class EmptyBackend:
    """Stands in for `tune_runner.worker.backend.TrainingBackend`."""

    reports: int

    def build_run(self, config: object, split: object, *, device: str) -> EmptyRun:
        """Return a run that does nothing."""
        return EmptyRun(self.reports)

    def fuse(self) -> FusedRuns:
        """Return what trains them; a run on its own trains itself."""
        return FusedRuns()

    def test(
        self, run: EmptyRun, test: object
    ) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
        """Return nothing."""
        return {}, {}


class EmptyTrial(tune.Trainable):
    """The same objective for Ray Tune alone."""

    def setup(self, config: dict[str, object]) -> None:
        """Begin."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, object]) -> bool:
        """Begin again."""
        self._reports, self._epoch = new_config["reports"], 0
        return True

    def step(self) -> dict[str, object]:
        """Report."""
        self._epoch += 1
        return {OBJECTIVE: float(self._epoch), "done": self._epoch == self._reports}


class Ends(tune.Callback):
    """Notes when trials end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(
        self, iteration: int, trials: list, trial: object, **info: object
    ) -> None:
        """Note the time."""
        self.times.append(time.time())


def ray_alone(args: argparse.Namespace, folder: Path) -> list[float]:
    """Run the trials with Ray Tune and nothing else; return when they ended."""
    ends = Ends()
    tune.run(
        EmptyTrial,
        config={"reports": args.reports, "learning_rate": tune.loguniform(1e-5, 1e-2)},
        num_samples=args.trials,
        max_concurrent_trials=args.concurrent,
        reuse_actors=True,
        resources_per_trial={"cpu": 1},
        storage_path=str(folder / "alone"),
        verbose=0,
        callbacks=[ends],
    )
    return ends.times


def whole_service(args: argparse.Namespace, folder: Path, name: str) -> list[float]:
    """Run the same trials as a study; return when they ended."""
    space = folder / "empty.py"
    space.write_text(SPACE.format(trials=args.trials, reports=args.reports))
    request = ResourceRequest(max_concurrent=args.concurrent)
    config = StudyConfig(
        space=str(space), name=name, runs_dir=str(folder / "runs"), request=request
    )
    if runner.run_study(config, backend=EmptyBackend(args.reports)):
        raise SystemExit("the study failed")
    url = f"journal://{folder / 'runs' / name / 'study.log'}"
    trials = optuna.load_study(study_name=name, storage=storage.read_storage(url)).trials
    assert all(len(trial.intermediate_values) == args.reports for trial in trials)
    return sorted(t.datetime_complete.timestamp() for t in trials if t.datetime_complete)


def main() -> None:
    """Run both in turns and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--reports", type=int, default=5)
    parser.add_argument("--concurrent", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    runner._print_report = lambda session: None  # the report is no part of a trial
    rows: dict[str, list[tuple[float, float]]] = {"Ray Tune alone": [], "whole service": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
        cpus = {"num_cpus": args.concurrent, "include_dashboard": False}
        ray.init("local", log_to_driver=False, logging_level="error", **cpus)
        for number in range(args.rounds):
            for arm, run in (
                ("Ray Tune alone", lambda: ray_alone(args, folder)),
                ("whole service", lambda n=number: whole_service(args, folder, f"empty{n}")),
            ):
                before = time.process_time()
                ends = run()
                cpu = (time.process_time() - before) / args.trials
                rows[arm].append(((ends[-1] - ends[0]) / (len(ends) - 1), cpu))
    load = os.getloadavg()[0]
    print(
        f"{args.trials} trials x {args.reports} reports, {args.concurrent} at a time, {load=:.1f}"
    )
    for arm, measurements in rows.items():
        wall, cpu = (statistics.median(column) for column in zip(*measurements, strict=True))
        print(f"{arm:<15} {wall:7.3f} s a trial, {wall / args.reports:6.3f} s a report, ", end="")
        print(f"{cpu:6.3f} CPU s of the driver a trial")
    medians = (statistics.median(w for w, _ in measurements) for measurements in rows.values())
    ray_seconds, service_seconds = medians
    print(f"beyond Ray's own: {service_seconds - ray_seconds:.3f} s a trial")


if __name__ == "__main__":
    main()
