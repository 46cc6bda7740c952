"""Times our dropout and torch's on a batch of histories.

python benchmarks/dropout.py
"""

import argparse

import torch
from measuring import ML_1M, interleaved, machine, report
from torch import nn

from diffrec.models.dropout import Dropout
from diffrec.runtime.memory import retain_freed_memory


def main() -> None:
    """Time both in turn, and a product of the training step for scale."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--items", type=int, default=ML_1M[1])
    parser.add_argument("--units", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    retain_freed_memory()
    x, weight = torch.rand(args.rows, args.items), torch.rand(args.units, args.items)
    ours, torchs = Dropout(0.5), nn.Dropout(0.5)
    inplace, spare = Dropout(0.5, inplace=True), x.clone()
    seconds = interleaved(
        {
            "torch's": lambda: torchs(x),
            "ours": lambda: ours(x),
            "ours, in place": lambda: inplace(spare),
            f"product with {args.units} units": lambda: x @ weight.T,
        },
        repeats=args.repeats,
    )
    print(machine())
    rows = [("what", "ms", "CPU ms")]
    report(rows + [(n, f"{1e3 * w:.2f}", f"{1e3 * c:.2f}") for n, (w, c) in seconds.items()])


if __name__ == "__main__":
    main()
