"""Cost of learning W: the time of an epoch with it, divided by that of one without.

    python benchmarks/ltw_cost.py --dataset ml-1m_clean --data-dir ../shared/datasets
    python benchmarks/ltw_cost.py --variants L-DiffRec --dataset ml-1m_clean

The runs take turns, epoch by epoch, on one thread, and CPU time is counted, so that neighbours on
the machine slow all of them alike. Results are in docs/science/temporal.md.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from diffrec.config.presets import preset
from diffrec.data.sources import load_dataset
from diffrec.training.run import TrainingRun

_MODES = {
    "none": ("", {}),
    "learned_steps": ("+learned_steps", {}),
    "learned_recency": ("+learned_recency", {}),
    "learned_recency, a row per step": ("+learned_recency", {"temporal.per_step": True}),
}


def main() -> None:
    """Time every mode of every variant; print one JSON line per variant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="embedded")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--variants", nargs="+", default=["DiffRec", "L-DiffRec"])
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    split = load_dataset(args.dataset, args.data_dir).tuning_split()
    for variant in args.variants:
        runs: dict[str, TrainingRun] = {}
        for mode, (suffix, changes) in _MODES.items():
            config = preset(variant + suffix, args.dataset).config
            # no validation within the epochs that are timed
            quiet = {"training.eval_every": args.epochs + 2, "training.max_epochs": args.epochs + 2}
            runs[mode] = TrainingRun(config.replace_values(changes | quiet), split)
        seconds: dict[str, list[float]] = {mode: [] for mode in runs}
        for epoch in range(args.epochs + 1):
            for mode, run in runs.items():
                started = time.process_time()
                run.next_epoch()
                if epoch:  # the first warms caches
                    seconds[mode].append(time.process_time() - started)
        median = {mode: statistics.median(times) for mode, times in seconds.items()}
        costs = {
            mode: {"cpu_seconds": round(value, 2), "ratio": round(value / median["none"], 2)}
            for mode, value in median.items()
        }
        print(json.dumps({"variant": variant, "dataset": args.dataset} | costs))


if __name__ == "__main__":
    main()
