"""Growth of time and memory with users, items, interactions and steps: docs/figures/growth.svg.

    python benchmarks/growth.py                # small sizes: minutes
    python benchmarks/growth.py --scale 4      # four times as large
    python benchmarks/growth.py --out FOLDER
    python benchmarks/growth.py --dataset amazon-beauty     # its rows against rows of its shape

One size is changed at a time, from a common centre; every point is a process of its own, so that
its peak of memory is its own. Printed as a table with the slope of each line (1 is proportional).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from measuring import machine, report, split_of_size

from diffrec.config.presets import preset
from diffrec.data import load_dataset
from diffrec.data.interactions import TuningSplit
from diffrec.evaluation.ranking import evaluate
from diffrec.training.run import TrainingRun

_CENTRE = {"users": 2_000, "items": 4_000, "interactions": 80_000, "steps": 10}
_FACTORS = (0.5, 1, 2, 4)
_MEASURES = ("training epoch, s", "validation, s", "memory, MiB")


def main() -> None:
    """Measure every point, print the table, draw the figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0, help="on users, items, interactions")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs/figures")
    parser.add_argument("--dataset", help="first users of a dataset beside random ones alike")
    parser.add_argument("--users", type=int, default=6000, help="of the dataset")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(_measure(**args.point, repeats=args.repeats)))
        return
    if args.dataset:
        _compare(args.dataset, args.users, args.repeats)
        return
    centre = {n: int(v * (1 if n == "steps" else args.scale)) for n, v in _CENTRE.items()}
    lines: dict[str, list[tuple[int, list[float]]]] = {}
    for name, value in centre.items():
        sizes = [int(value * factor) for factor in _FACTORS]
        lines[name] = [(n, _point(centre | {name: n}, args.repeats)) for n in sizes]
    print(machine())
    report([("size", "from", "to", *(f"slope of {m}" for m in _MEASURES)), *_slopes(lines)])
    args.out.mkdir(parents=True, exist_ok=True)
    _draw(lines, args.out / "growth.svg")


def _compare(name: str, users: int, repeats: int) -> None:
    """Print the measures of a dataset's first users, and of random interactions of that shape."""
    whole = load_dataset(name).tuning_split()
    first = np.arange(min(users, whole.train.num_users))
    lists = (whole.train.select_users(first), whole.valid.select_users(first))
    split = TuningSplit(*lists, whole.item_embeddings)
    shape = (len(first), split.train.num_items, len(split.train.indices))
    print(machine())
    rows: list[tuple[str, ...]] = [("", *_MEASURES[:2])]
    for label, measured in ((name, split), ("random, alike", split_of_size(*shape))):
        seconds = _measure_split(measured, _CENTRE["steps"], repeats)
        rows.append((label, *(f"{value:.2f}" for value in seconds)))
    report(rows)


def _point(sizes: dict[str, int], repeats: int) -> list[float]:
    command = [sys.executable, __file__, "--point", json.dumps(sizes), "--repeats", str(repeats)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _measure(users: int, items: int, interactions: int, steps: int, repeats: int) -> list[float]:
    """Return the measures of one point."""
    split = split_of_size(users, items, interactions)
    before = _peak()
    seconds = _measure_split(split, steps, repeats)
    return [*seconds, _peak() - before]


def _measure_split(split: TuningSplit, steps: int, repeats: int) -> list[float]:
    """Return the seconds of an epoch and of a validation, the process's own (CPU)."""
    torch.set_num_threads(1)
    config = preset("DiffRec", "ml-1m_clean").config.replace_values(
        {
            "diffusion.num_steps": steps,
            "training.max_epochs": 10**6,
            "training.eval_every": 10**6,
        }
    )
    run = TrainingRun(config, split)
    seconds = [float("inf"), float("inf")]
    works = (
        run.next_epoch,
        lambda: evaluate(run.model, history=split.train, target=split.valid, seen=[split.train]),
    )
    for _ in range(repeats):
        for i, work in enumerate(works):
            started = time.process_time()
            work()
            seconds[i] = min(seconds[i], time.process_time() - started)
    return seconds


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _slopes(lines: dict[str, list[tuple[int, list[float]]]]) -> list[tuple[str, ...]]:
    rows = []
    for name, points in lines.items():
        sizes = np.log([size for size, _ in points])
        fits = [
            np.polyfit(sizes, np.log([values[i] for _, values in points]), 1)[0]
            for i in range(len(_MEASURES))
        ]
        first, last = points[0][0], points[-1][0]
        rows.append((name, f"{first:,}", f"{last:,}", *(f"{fit:.2f}" for fit in fits)))
    return rows


def _draw(lines: dict[str, list[tuple[int, list[float]]]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    figure, axes = plt.subplots(1, len(_MEASURES), figsize=(11, 3.6), layout="constrained")
    for i, (axis, measure) in enumerate(zip(axes, _MEASURES, strict=True)):
        for name, points in lines.items():
            factors = [size / points[1][0] for size, _ in points]
            axis.loglog(factors, [values[i] for _, values in points], marker="o", label=name)
        axis.set(title=measure, xlabel="times the centre's size")
        axis.set_xticks(_FACTORS, [f"{factor:g}" for factor in _FACTORS])
        axis.xaxis.set_minor_locator(ticker.NullLocator())
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
        axis.grid(alpha=0.3, which="both")
    axes[0].legend(frameon=False)
    figure.suptitle("How do time and memory grow, one size at a time?")
    figure.savefig(path)


if __name__ == "__main__":
    main()
