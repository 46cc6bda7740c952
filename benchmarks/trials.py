"""Trials per hour of a study, as a user starts it, from the command to its end.

    python benchmarks/trials.py                                       # embedded data, 3 epochs
    python benchmarks/trials.py --dataset ml-1m_clean --data-dir path/to/datasets
    python benchmarks/trials.py --against ../other/checkout           # both, in turn

Starting Ray and the workers counts, as it does for the user; more trials dilute it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import machine, report
from optuna import load_study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

_HERE = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the study in each checkout, in turn, and print the rates."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--space", default="clustering_ablation")
    parser.add_argument("--dataset", default="embedded")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--trials", type=int, help="the whole space if left out")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--against", type=Path, help="another checkout, of an older version, say")
    args = parser.parse_args()
    checkouts = {"this": _HERE} | ({"other": args.against.resolve()} if args.against else {})
    command = [sys.executable, "-m", "tune_runner", "--space", args.space, "--name", "study"]
    command += ["--dataset", args.dataset, "--max-epochs", str(args.epochs)]
    if args.data_dir is not None:
        command += ["--data-dir", str(args.data_dir.resolve())]
    if args.trials is not None:
        command += ["--trials", str(args.trials)]
    least = dict.fromkeys(checkouts, float("inf"))
    count = 0
    for _ in range(args.repeats):
        for name, checkout in checkouts.items():
            seconds, count = _run(command, checkout)
            least[name] = min(least[name], seconds)
    print(f"{args.space} on {args.dataset}, {args.epochs} epochs; {machine()}")
    rows = [(n, str(count), f"{s:.0f}", f"{3600 * count / s:.0f}") for n, s in least.items()]
    report([("checkout", "trials", "seconds", "trials per hour"), *rows])


def _run(command: list[str], checkout: Path) -> tuple[float, int]:
    """Return the seconds of one study and its number of complete trials."""
    with tempfile.TemporaryDirectory() as folder:
        # A checkout comes before what is installed, and its record stays in the folder.
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        environment.pop("MLFLOW_TRACKING_URI", None)
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"the study failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        journal = JournalStorage(JournalFileBackend(f"{folder}/runs/study/study.log"))
        trials = load_study(study_name=None, storage=journal).trials
    return seconds, sum(trial.state == TrialState.COMPLETE for trial in trials)


if __name__ == "__main__":
    main()
