"""Epoch, scoring and a whole trial against the published procedure written plainly, side by side.

    python benchmarks/speed.py --dataset ml-1m_clean --data-dir path/to/datasets
    python benchmarks/speed.py                        # the embedded dataset
    python benchmarks/speed.py --threads 1 --repeats 3

A trial to early stop is composed: as many epochs as our own trial takes (`--epochs`), a validation
every five. The plain one scores validation and test each time, as the released code does, ours
validation alone and test once.
"""

import argparse
from pathlib import Path

import torch
from measuring import interleaved, machine, report
from plain import PlainDiffRec

from diffrec.data import load_dataset
from diffrec.evaluation.ranking import evaluate
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
    never = {"training.eval_every": 10**6, "training.max_epochs": 10**6}
    ours = TrainingRun(config.replace_values(never), data.tuning_split())
    plain = PlainDiffRec(config, data.train)
    questions = [([data.train], data.valid), ([data.train, data.valid], data.test)]

    def validate() -> None:
        evaluate(ours.model, history=data.train, target=data.valid, seen=[data.train])

    print(f"{data.name}, T = {config.diffusion.num_steps}; {machine()}")
    epochs = interleaved({"ours": ours.next_epoch, "plain": plain.epoch}, repeats=args.repeats)
    rounds = interleaved(
        {"ours": validate, "plain": lambda: plain.round(questions)}, repeats=args.repeats
    )
    rows = [("what", "plain, s", "ours, s", "ratio wall", "ratio CPU")]
    rows.append(_row("training epoch", epochs["plain"], epochs["ours"]))
    rows.append(_row("validation (plain: and test)", rounds["plain"], rounds["ours"]))
    times = args.epochs / config.training.eval_every
    trials = [
        tuple(
            args.epochs * epochs[name][i] + (times + (name == "ours")) * rounds[name][i]
            for i in (0, 1)
        )
        for name in ("plain", "ours")
    ]
    rows.append(_row(f"trial of {args.epochs} epochs, composed", *trials))
    report(rows)
    print(f"load at the end: {machine().rsplit('load ', 1)[1]}")


def _row(name: str, plain: tuple[float, ...], ours: tuple[float, ...]) -> tuple[str, ...]:
    ratios = (f"{p / o:.1f}" for p, o in zip(plain, ours, strict=True))
    return (name, f"{plain[0]:.2f}", f"{ours[0]:.2f}", *ratios)


if __name__ == "__main__":
    main()
