"""Compares trials trained as one batched computation with the same trials one after the other.

    python benchmarks/fusion.py                                  # this CPU, one thread
    python benchmarks/fusion.py --device cuda --trials 1 4 16 64 --rounds 5

Both ways are timed in turn, an epoch of every trial each, so that other load on the machine slows
both. On a CPU the time is the process's own (user and system), on a GPU that of the clock.
`ratio` is the speed-up in trials per hour; validation, which is not fused, is left out. Results are
in benchmarks/README.md.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from diffrec.config import RecommenderConfig
from diffrec.config.presets import preset
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.data.sources import load_dataset
from diffrec.training.fused.runs import FusedRuns
from diffrec.training.runs import build_run

_ENDLESS = {"training.max_epochs": 10**9, "training.eval_every": 10**9, "training.patience": 10**9}


def cases() -> dict[str, tuple[RecommenderConfig, TuningSplit]]:
    """Return what is trained, by name: the embedded data, and random data of ml-1m_clean's size."""
    embedded = load_dataset("embedded").tuning_split()
    one_cluster = {"autoencoder.num_clusters": 1, "autoencoder.clustering": None}
    return {
        "embedded DiffRec": (preset("DiffRec", "embedded").config, embedded),
        "embedded L-DiffRec": (
            preset("L-DiffRec", "embedded").config.replace_values(one_cluster),
            embedded,
        ),
        "ml-1m size DiffRec": (
            preset("DiffRec", "ml-1m_clean").config,
            random_split(5949, 2810, 68),
        ),
    }


def random_split(num_users: int, num_items: int, per_user: int) -> TuningSplit:
    """Return histories of `per_user` random items each; the same again to validate on."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(num_items, per_user, replace=False) for _ in range(num_users)]
    indptr = np.arange(num_users + 1, dtype=np.int64) * per_user
    train = Interactions(num_users, num_items, indptr, np.concatenate(rows).astype(np.int32))
    return TuningSplit(train, train, np.zeros((num_items, 1), dtype=np.float32))


def compare(
    config: RecommenderConfig, split: TuningSplit, count: int, rounds: int, device: str
) -> tuple[float, float]:
    """Return the seconds of an epoch of `count` trials (one by one, fused), medians of `rounds`."""
    values = [_ENDLESS | {"seed": seed} for seed in range(1, count + 1)]
    single = [build_run(config.replace_values(v), split, device=device) for v in values]
    fused = FusedRuns([build_run(config.replace_values(v), split, device=device) for v in values])

    def one_by_one() -> None:
        for run in single:
            run.next_epoch()

    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for series, train in zip(times, (one_by_one, fused.next_epoch), strict=True):
            seconds = timed(train, device)
            if turn:  # the first warms up
                series.append(seconds)
    return statistics.median(times[0]), statistics.median(times[1])


def timed(train: Callable[[], object], device: str) -> float:
    """Return the seconds that `train` takes."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    started = clock()
    train()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - started


def main() -> None:
    """Compare and write a line for each case and number of trials."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", choices=sorted(cases()), help="only this one")
    args = parser.parse_args()
    torch.set_num_threads(1)
    gpu = torch.cuda.get_device_name() if args.device == "cuda" else None
    for name, (config, split) in cases().items():
        for count in args.trials if args.case in (None, name) else ():
            single_seconds, fused_seconds = compare(config, split, count, args.rounds, args.device)
            row = {
                "case": name,
                "trials": count,
                "apart_seconds": round(single_seconds, 4),
                "fused_seconds": round(fused_seconds, 4),
                "ratio": round(single_seconds / fused_seconds, 2),
                "machine": gpu or platform.processor() or platform.machine(),
                "torch": torch.__version__,
            }
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
