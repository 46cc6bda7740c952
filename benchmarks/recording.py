"""Times a training step as a captured CUDA graph and with kernels launched one by one.

    python benchmarks/recording.py
    python benchmarks/recording.py --variant L-DiffRec --precision bf16

Needs a GPU. Both train the same runs, an epoch of each in turn; `equal` says whether the losses of
the two are the same to the bit.
"""

import argparse
import time

from measuring import ML_1M, interleaved, machine, report, split_of_size

from diffrec.config.presets import preset
from diffrec.training.run import TrainingRun


def main() -> None:
    """Measure in turn and print a row for each variant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", nargs="+", default=["DiffRec", "T-DiffRec", "L-DiffRec"])
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    split = split_of_size(*ML_1M)
    print(machine("cuda"))
    rows = [("epoch", "one by one, ms", "recorded, ms", "ratio", "first epoch, ms", "equal")]
    for variant in args.variant:
        for precision in args.precision:
            config = preset(variant, "ml-1m_clean").config.replace_values(
                {
                    "training.max_epochs": 10**6,
                    "training.eval_every": 10**6,
                    "training.precision": precision,
                }
            )
            eager, recorded = (TrainingRun(config, split, device="cuda") for _ in range(2))
            eager.uses_cuda_graph = False
            losses = [eager.next_epoch().loss]
            started = time.perf_counter()
            equal = losses == [recorded.next_epoch().loss]
            first_epoch = time.perf_counter() - started
            works = {"eager": eager.next_epoch, "recorded": recorded.next_epoch}
            measured = interleaved(works, repeats=args.repeats)
            eager_seconds, recorded_seconds = (measured[name][0] for name in works)
            equal &= eager.next_epoch().loss == recorded.next_epoch().loss
            times = [f"{1e3 * seconds:.1f}" for seconds in (eager_seconds, recorded_seconds)]
            name = f"{variant}, {precision}"
            ratio = f"{eager_seconds / recorded_seconds:.1f}"
            rows.append((name, *times, ratio, f"{1e3 * first_epoch:.0f}", str(equal)))
    report(rows)


if __name__ == "__main__":
    main()
