"""A training step recorded once and replayed (a CUDA graph), against asking for its kernels singly.

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
            asked, recorded = (TrainingRun(config, split, device="cuda") for _ in range(2))
            asked.uses_cuda_graph = False
            losses = [asked.next_epoch().loss]
            started = time.perf_counter()
            equal = losses == [recorded.next_epoch().loss]
            first = time.perf_counter() - started
            works = {"asked": asked.next_epoch, "recorded": recorded.next_epoch}
            found = interleaved(works, repeats=args.repeats)
            one, other = (found[name][0] for name in works)
            equal &= asked.next_epoch().loss == recorded.next_epoch().loss
            times = [f"{1e3 * seconds:.1f}" for seconds in (one, other)]
            name = f"{variant}, {precision}"
            rows.append((name, *times, f"{one / other:.1f}", f"{1e3 * first:.0f}", str(equal)))
    report(rows)


if __name__ == "__main__":
    main()
