"""Cost of the metrics beyond accuracy: one validation with and without them, side by side.

python benchmarks/beyond_accuracy.py
"""

import argparse
from functools import partial

import torch
from measuring import ML_1M, interleaved, machine, report, split_of_size

from diffrec.config.presets import preset
from diffrec.evaluation.beyond_accuracy import catalogue_of
from diffrec.evaluation.ranking import evaluate
from diffrec.runtime.memory import retain_freed_memory
from diffrec.training.runs import build_run


def main() -> None:
    """Validate untrained models at ml-1m's size, with item embeddings of 64 dimensions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--variants", nargs="+", default=["DiffRec", "L-DiffRec", "MultVAE"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    retain_freed_memory()
    split = split_of_size(*ML_1M)
    catalogue = catalogue_of(split.train, split.item_embeddings)
    rows = [("validation of", "accuracy alone, s", "with all, s", "ratio", "CPU ratio")]
    for variant in args.variants:
        run = build_run(preset(variant, "ml-1m_clean").config, split, device=args.device)

        validate = partial(
            evaluate, run.model, history=split.train, target=split.valid, seen=[split.train]
        )
        works = {"alone": validate, "with all": partial(validate, catalogue=catalogue)}
        (alone, alone_cpu), (both, both_cpu) = interleaved(works, repeats=args.repeats).values()
        rows.append(
            (
                variant,
                f"{alone:.3f}",
                f"{both:.3f}",
                f"{both / alone:.3f}",
                f"{both_cpu / alone_cpu:.3f}",
            )
        )
    print(machine(args.device))
    report(rows)


if __name__ == "__main__":
    main()
