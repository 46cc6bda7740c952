"""Times the reverse chain's tanh and torch's, on a batch of rows of the chain.

python benchmarks/tanh.py
"""

import argparse

import torch
from measuring import interleaved, machine, report

from diffrec.models.denoiser import tanh
from diffrec.runtime.memory import retain_freed_memory

_CALLS = 50


def main() -> None:
    """Time both in turn, and a product of the chain for scale."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--units", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    retain_freed_memory()
    x, weight = torch.randn(args.rows, args.units), torch.randn(args.units, args.units)
    spare = x.clone()
    works = {
        "torch's tanh": lambda: torch.tanh(x),
        "torch's, into a buffer": lambda: torch.tanh(x, out=spare),
        "ours, in place": lambda: tanh(spare),
        f"product with {args.units} units": lambda: x @ weight.T,
    }
    with torch.no_grad():
        measured = interleaved(
            {
                name: lambda work=work: [work() for _ in range(_CALLS)]
                for name, work in works.items()
            },
            repeats=args.repeats,
        )
    print(machine())
    rows = [("what", "ms", "CPU ms")]
    for name, spent in measured.items():
        rows.append((name, *(f"{1e3 * seconds / _CALLS:.3f}" for seconds in spent)))
    report(rows)


if __name__ == "__main__":
    main()
