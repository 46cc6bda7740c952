"""Compares models trained in bf16 and in fp32, paired by seed.

    python benchmarks/precision.py --seeds 5
    python benchmarks/precision.py --variant DiffRec --device cuda

If bf16 is only emulated, the quality is the same but the time means nothing.
"""

import argparse
import statistics
from pathlib import Path

import torch
from measuring import machine, report

from diffrec.config.presets import preset
from diffrec.data import Dataset, load_dataset
from diffrec.runtime.precision import has_native_bf16
from diffrec.training.run import TrainingRun
from diffrec.training.runs import score_test


def main() -> None:
    """Train both for every seed and print the differences."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", nargs="+", default=["DiffRec", "L-DiffRec"])
    parser.add_argument("--dataset", default="embedded")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-epochs", type=int, help="the preset's if left out")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    data = load_dataset(args.dataset, args.data_dir)
    native = has_native_bf16(torch.device(args.device))
    print(f"{data.name}; bf16 {'in hardware' if native else 'emulated'}; {machine()}")
    head = ("variant", "seeds", "fp32 R@20", "bf16 R@20", "bf16 - fp32, mean ± sd")
    rows = [(*head, "one network, scored in bf16: largest difference at 10 and 20")]
    for variant in args.variant:
        scores: dict[str, list[float]] = {"fp32": [], "bf16": []}
        by_scoring = 0.0
        for seed in range(1, args.seeds + 1):
            for precision, values in scores.items():
                changes = {"seed": seed, "training.precision": precision}
                if args.max_epochs:
                    changes["training.max_epochs"] = args.max_epochs
                run = _trained(variant, changes, data, args.device)
                values.append(score_test(run, data.test)["test/recall@20"])
                by_scoring = max(by_scoring, _difference_by_scoring(run, data))
        pairs = zip(scores["bf16"], scores["fp32"], strict=True)
        difference = _mean_and_deviation([rough - exact for rough, exact in pairs])
        cells = (_mean_and_deviation(values) for values in scores.values())
        rows.append((variant, str(args.seeds), *cells, difference, f"{by_scoring:.5f}"))
    report(rows)


def _trained(variant: str, changes: dict[str, object], data: Dataset, device: str) -> TrainingRun:
    config = preset(variant, data.name).config.replace_values(changes)
    run = TrainingRun(config, data.tuning_split(), device=device)
    for _ in run.epochs():
        pass
    return run


def _difference_by_scoring(run: TrainingRun, data: Dataset) -> float:
    """Return by how much a metric of test moves when the chain runs in bf16."""
    exact = score_test(run, data.test)
    with run.model.chain_precision(torch.bfloat16):
        rough = score_test(run, data.test)
    near = [name for name in exact if name.endswith(("@10", "@20"))]
    return max(abs(exact[name] - rough[name]) for name in near)


def _mean_and_deviation(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


if __name__ == "__main__":
    main()
