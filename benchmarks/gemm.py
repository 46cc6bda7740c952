"""Which part of the machine's rate of matrix products a training step achieves.

    python benchmarks/gemm.py --threads 1
    python benchmarks/gemm.py --items 178181 --hidden 1000 --steps 1
    python benchmarks/gemm.py --device cuda

A step of a network with W weights multiplies 6 W times per user: twice forward, four times backward
(the first layer's input needs no gradient, which saves its share). The peak is the best of square
products of several sizes, taken in turn with the step.
"""

import argparse
import time
from collections.abc import Callable

import torch
from measuring import ML_1M, machine, report, split_of_size

from diffrec.presets import preset
from diffrec.training.run import TrainingRun


def main() -> None:
    """Measure in turn and print the fraction."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=ML_1M[1])
    parser.add_argument("--hidden", type=int, nargs="+", default=[200, 600])
    parser.add_argument("--steps", type=int, default=5, help="per repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = preset("DiffRec", "ml-1m_clean").config.replace_values(
        {
            "denoiser.hidden_dims": args.hidden,
            "training.max_epochs": 10**6,
            "training.eval_every": 10**6,
            "training.precision": args.precision,
        }
    )
    users = args.steps * config.training.batch_size
    run = TrainingRun(config, split_of_size(users, args.items, 68 * users), device=args.device)
    sizes = [layer.weight.shape for layer in run.model.modules() if hasattr(layer, "weight")]
    weights = sum(a * b for a, b in (size for size in sizes if len(size) == 2))
    first = run.model.denoiser.input_weight.numel()
    work = users * (6 * weights - 2 * first)
    kind = torch.bfloat16 if args.precision == "bf16" else torch.float32
    # One thread's own time does not count what neighbours take; more threads need the clock.
    clock = time.process_time if (args.threads, args.device) == (1, "cpu") else time.perf_counter
    peak, best = 0.0, 0.0
    for _ in range(args.repeats):
        peak = max(peak, *(_rate(n, args.device, kind, clock) for n in (512, 1024)))
        started = clock()
        run.next_epoch()
        best = max(best, work / (clock() - started))
    report(
        [
            ("machine", "peak, GFLOPS", "step, GFLOPS", "fraction"),
            (machine(), f"{peak / 1e9:.1f}", f"{best / 1e9:.1f}", f"{best / peak:.2f}"),
        ]
    )


def _rate(size: int, device: str, kind: torch.dtype, clock: Callable[[], float]) -> float:
    """Return operations per second of a square product."""
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    count = max(1, 2**30 // size**3)
    float((a @ b)[0, 0])  # the first call sets up, and reading waits for a GPU
    started = clock()
    for _ in range(count):
        c = a @ b
    float(c[0, 0])
    return count * 2 * size**3 / (clock() - started)


if __name__ == "__main__":
    main()
