"""Trials per hour of a study, from the command to its end.

    python benchmarks/trials.py                                       # embedded data, 3 epochs
    python benchmarks/trials.py --dataset ml-1m_clean --data-dir path/to/datasets
    python benchmarks/trials.py --against ../other/checkout           # both, in turn
    python benchmarks/trials.py --way= --way="--fuse auto"            # with options of the command

The command counts Ray's start and the report at the end, as it does for the user; the rate is that
of the trials, their workers' start among it.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import machine, report
from optuna import get_all_study_names, load_study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

_SHORT = """
from dataclasses import replace
from search_spaces import get_space

FOUND = get_space("{space}")
EPOCHS = {{"training.max_epochs": {epochs}, "training.eval_every": {epochs}}}
SPACE = replace(FOUND, name="short", overrides={{**FOUND.overrides, **EPOCHS}})
"""
"""The space with trials of a few epochs, validated once: a file that older versions read, too."""

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
    parser.add_argument(
        "--against", type=Path, help="another checkout, for example of an older version"
    )
    parser.add_argument("--way", action="append", help="options of the command, as --way=OPTIONS")
    args = parser.parse_args()
    checkouts = {"this": _HERE} | ({"other": args.against.resolve()} if args.against else {})
    ways = {
        f"{n} {way}".strip(): (c, way) for n, c in checkouts.items() for way in args.way or [""]
    }
    command = [sys.executable, "-m", "tune_runner", "--space", "short.py", "--name", "study"]
    command += ["--dataset", args.dataset]
    if args.data_dir is not None:
        command += ["--data-dir", str(args.data_dir.resolve())]
    if args.trials is not None:
        command += ["--trials", str(args.trials)]
    least = {name: (float("inf"), float("inf"), 0) for name in ways}
    for _ in range(args.repeats):
        for name, (checkout, way) in ways.items():
            space = _SHORT.format(**vars(args))
            words = [*command, *shlex.split(way)]
            command_seconds, search_seconds, count = _run(words, checkout, space)
            best = least[name]
            least[name] = (min(command_seconds, best[0]), min(search_seconds, best[1]), count)
    print(f"{args.space} on {args.dataset}, {args.epochs} epochs; {machine()}")
    rows = [
        (
            name,
            f"{count}",
            f"{command_seconds:.0f}",
            f"{search_seconds:.0f}",
            f"{3600 * count / search_seconds:.0f}",
        )
        for name, (command_seconds, search_seconds, count) in least.items()
    ]
    head = ("way", "trials", "command, s", "first start to last end, s", "trials per hour")
    report([head, *rows])


def _run(command: list[str], checkout: Path, space: str) -> tuple[float, float, int]:
    """Return the seconds of one command, of its trials, and the number of complete ones."""
    with tempfile.TemporaryDirectory() as folder:
        # A checkout comes before what is installed, and its record stays in the folder.
        paths = [str(checkout), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        environment.pop("MLFLOW_TRACKING_URI", None)
        Path(folder, "short.py").write_text(space, encoding="utf-8")
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"the study failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        journal = JournalStorage(JournalFileBackend(f"{folder}/runs/study/study.log"))
        (name,) = get_all_study_names(journal)
        trials = load_study(study_name=name, storage=journal).trials
    starts = [trial.datetime_start for trial in trials if trial.datetime_start is not None]
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete is not None]
    complete = sum(trial.state == TrialState.COMPLETE for trial in trials)
    return seconds, (max(ends) - min(starts)).total_seconds(), complete


if __name__ == "__main__":
    main()
