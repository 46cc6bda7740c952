"""Fraction of the machine's peak rate of matrix products that a training step achieves.

    python benchmarks/gemm.py --threads 1
    python benchmarks/gemm.py --items 178181 --hidden 1000 --steps 1
    python benchmarks/gemm.py --device cuda

A step of a network with W weights multiplies 6 W times per user: twice forward, four times backward
(the first layer's input needs no gradient, which saves its share). The peak is the best of square
products of several sizes, taken in turn with the step.
"""

import argparse
import time

import torch
from measuring import ML_1M, machine, product_rate, report, split_of_size, training_work

from diffrec.config.presets import preset
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
    work = users * training_work(run.model)
    kind = torch.bfloat16 if args.precision == "bf16" else torch.float32
    # One thread's own time does not count what neighbours take; more threads need the clock.
    clock = time.process_time if (args.threads, args.device) == (1, "cpu") else time.perf_counter
    sizes = (512, 1024) if args.device == "cpu" else (2048, 4096, 8192)  # small ones do not fill it
    peak, best = 0.0, 0.0
    for _ in range(args.repeats):
        peak = max(peak, *(product_rate(n, kind, clock, args.device) for n in sizes))
        started = clock()
        run.next_epoch()
        best = max(best, work / (clock() - started))
    report(
        [
            ("machine", "peak, GFLOPS", "step, GFLOPS", "fraction"),
            (machine(args.device), f"{peak / 1e9:.1f}", f"{best / 1e9:.1f}", f"{best / peak:.2f}"),
        ]
    )


if __name__ == "__main__":
    main()
