"""Speed-up from letting the C library keep freed memory (diffrec.runtime.memory).

    python benchmarks/allocator.py

Each setting needs a process of its own, since it cannot be undone; processes take turns.
"""

import argparse
import subprocess
import sys
import time

import torch
from measuring import ML_1M, machine, report

from diffrec.runtime.memory import retain_freed_memory


def main() -> None:
    """Start the processes in turn and print the smallest seconds of each setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", choices=("kept", "given back"))
    args = parser.parse_args()
    if args.child:
        print(_elementwise(keep=args.child == "kept"))
        return
    least = dict.fromkeys(("given back", "kept"), float("inf"))
    for _ in range(args.repeats):
        for setting in least:
            command = [sys.executable, __file__, "--child", setting]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            least[setting] = min(least[setting], float(done.stdout))
    print(machine())
    ratio = f"{least['given back'] / least['kept']:.1f}"
    rows = [(name, f"{1e3 * seconds:.2f}") for name, seconds in least.items()]
    report([("freed memory is", "ms a batch"), *rows, ("ratio", ratio)])


def _elementwise(*, keep: bool) -> float:
    """Return the least CPU seconds of a batch's element-wise work, fresh tensors throughout."""
    torch.set_num_threads(1)
    if keep:
        retain_freed_memory()
    x_0, noise = torch.rand(400, ML_1M[1]), torch.randn(400, ML_1M[1])
    least = float("inf")
    for _ in range(20):
        started = time.process_time()
        x_t = 0.9 * x_0 + 0.1 * noise
        ((x_0 - x_t) * 2).square().mean()
        least = min(least, time.process_time() - started)
    return least


if __name__ == "__main__":
    main()
