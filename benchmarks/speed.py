"""Epoch, scoring and a whole trial against the published procedure written plainly, side by side.

    python benchmarks/speed.py --dataset ml-1m_clean --data-dir path/to/datasets
    python benchmarks/speed.py                        # the embedded dataset
    python benchmarks/speed.py --threads 1 --repeats 3

Ours twice: in float32, as published, and with `training.precision: auto`, which multiplies in
bfloat16 where the hardware does. A trial to early stop is composed: as many epochs as our own trial
takes (`--epochs`), a validation every five. The plain one scores validation and test each time, as
the released code does, ours validation alone and test once.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from measuring import interleaved, machine, report
from plain import PlainDiffRec

from diffrec.config import RecommenderConfig
from diffrec.data import load_dataset
from diffrec.data.interactions import TuningSplit
from diffrec.evaluation.ranking import evaluate
from diffrec.precision import product_dtype
from diffrec.presets import preset
from diffrec.training.run import TrainingRun


def main() -> None:
    """Measure both, in turn, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="embedded")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=100, help="of a trial to early stop")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = load_dataset(args.dataset, args.data_dir)
    config = preset("DiffRec", data.name).config
    plain = PlainDiffRec(config, data.train)
    ours = {kind: _run(config, kind, data.tuning_split()) for kind in ("fp32", "auto")}
    questions = [([data.train], data.valid), ([data.train, data.valid], data.test)]
    print(f"{data.name}, T = {config.diffusion.num_steps}; {machine()}")
    epochs = interleaved(
        {"plain": plain.epoch} | {kind: run.next_epoch for kind, run in ours.items()},
        repeats=args.repeats,
    )
    rounds = interleaved(
        {"plain": lambda: plain.round(questions)}
        | {kind: partial(_validate, run) for kind, run in ours.items()},
        repeats=args.repeats,
    )
    times = args.epochs / config.training.eval_every
    trials = {
        name: tuple(
            args.epochs * epochs[name][i] + (times + (name != "plain")) * rounds[name][i]
            for i in (0, 1)
        )
        for name in epochs
    }
    rows = [("what", "plain, s", "fp32, s", "ratio", "auto, s", "ratio")]
    rows.append(_row("training epoch", epochs))
    rows.append(_row("validation (plain: and test)", rounds))
    rows.append(_row(f"trial of {args.epochs} epochs, composed", trials))
    report(rows)
    cpu = [_ratio(found, "fp32", 1) for found in (epochs, rounds, trials)]
    print(f"ratios by CPU time, fp32: {', '.join(cpu)}")
    print(f"load at the end: {machine().rsplit('load ', 1)[1]}")


def _run(config: RecommenderConfig, precision: str, split: TuningSplit) -> TrainingRun:
    never = {"training.eval_every": 10**6, "training.max_epochs": 10**6}
    return TrainingRun(config.replace_values(never | {"training.precision": precision}), split)


def _validate(run: TrainingRun) -> None:
    train, valid, model = run.split.train, run.split.valid, run.model
    with model.chain_in(product_dtype(run.config.training.precision, model.device)):
        evaluate(model, history=train, target=valid, seen=[train])


def _row(name: str, found: Mapping[str, tuple[float, ...]]) -> tuple[str, ...]:
    ours = [text for kind in ("fp32", "auto") for text in (_wall(found, kind), _ratio(found, kind))]
    return (name, _wall(found, "plain"), *ours)


def _wall(found: Mapping[str, tuple[float, ...]], name: str) -> str:
    return f"{found[name][0]:.2f}"


def _ratio(found: Mapping[str, tuple[float, ...]], name: str, clock: int = 0) -> str:
    return f"{found['plain'][clock] / found[name][clock]:.1f}"


if __name__ == "__main__":
    main()
