"""Epoch, scoring and a whole trial against the published procedure written plainly, side by side.

    python benchmarks/speed.py --dataset ml-1m_clean --data-dir path/to/datasets
    python benchmarks/speed.py                        # the embedded dataset
    python benchmarks/speed.py --threads 1 --repeats 3
    python benchmarks/speed.py --trial                # and a trial each, run to its early stop
    python benchmarks/speed.py --device cuda          # both on a GPU

Ours twice: in float32, as published, and with `training.precision: auto`, which multiplies in
bfloat16 where the hardware does. A composed trial has `--epochs` epochs and a validation every
five: its length is a choice, the same for all. The plain one scores validation and test each time,
as the released code does, ours validation alone and test once. With `--trial` each is run, too, to
the early stop that its own validations bring.

"at most" is the ratio if ours took nothing but its matrix products, each as fast as this machine's
best square product: what no writing of the same arithmetic can exceed.
"""

import argparse
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from measuring import interleaved, machine, product_rate, report, scoring_work, training_work
from plain import PlainDiffRec

from diffrec.config import RecommenderConfig
from diffrec.config.presets import preset
from diffrec.data import Dataset, load_dataset
from diffrec.data.interactions import Interactions, TuningSplit
from diffrec.evaluation.ranking import evaluate
from diffrec.models.recommender import DiffusionRecommender
from diffrec.runtime.precision import product_dtype
from diffrec.training.patience import PatienceRule
from diffrec.training.run import TrainingRun
from diffrec.training.runs import score_test

_KINDS = ("fp32", "auto")
Seconds = dict[str, float]
"""Wall seconds of each way of doing a work; "fp32 at peak" is that of its products alone."""


def main() -> None:
    """Measure all in turn, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="embedded")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=100, help="of the composed trial")
    parser.add_argument("--trial", action="store_true", help="run one of each to its early stop")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = load_dataset(args.dataset, args.data_dir)
    config = preset("DiffRec", data.name).config
    plain = PlainDiffRec(config, data.train, args.device)
    ours = {kind: _run(config, kind, data.tuning_split(), args.device) for kind in _KINDS}
    questions = [([data.train], data.valid), ([data.train, data.valid], data.test)]
    print(f"{data.name}, T = {config.diffusion.num_steps}; {machine(args.device)}")
    rates = {kind: _peak(run) for kind, run in ours.items()}
    works = {"plain": plain.epoch} | {kind: run.next_epoch for kind, run in ours.items()}
    if args.device != "cpu":  # where a first step sets up and a second is recorded
        for work in works.values():
            work()
    epochs = _seconds(interleaved(works, repeats=args.repeats))
    works = {"plain": lambda: plain.round(questions)}
    works |= {kind: partial(_validate, run) for kind, run in ours.items()}
    rounds = _seconds(interleaved(works, repeats=max(args.repeats, 2)))
    for kind, run in ours.items():
        model, rate = run.model, max(rates[kind], _peak(run))
        assert isinstance(model, DiffusionRecommender)
        num_scored = int((data.valid.lengths > 0).sum())
        epochs[f"{kind} at peak"] = len(run.users) * training_work(model) / rate
        rounds[f"{kind} at peak"] = num_scored * scoring_work(model) / rate
    times = args.epochs / config.training.eval_every
    trials = {
        way: args.epochs * epochs[way] + (times + (way != "plain")) * rounds[way] for way in epochs
    }
    head = [text for kind in _KINDS for text in (f"{kind}, s", "ratio", "at most")]
    rows = [("what", "plain, s", *head), _row("training epoch", epochs)]
    rows.append(_row("validation (plain: and test)", rounds))
    rows.append(_row(f"trial of {args.epochs} epochs, composed", trials))
    report(rows)
    if args.trial:
        report(_trials(config, data, questions, args.device))
    print(f"load at the end: {machine().rsplit('load ', 1)[1]}")


def _trials(
    config: RecommenderConfig,
    data: Dataset,
    questions: list[tuple[list[Interactions], Interactions]],
    device: str,
) -> list[tuple[str, ...]]:
    """Run a trial each way, test included; return a row each."""
    plain = PlainDiffRec(config, data.train, device)
    rule, history = PatienceRule(config.training.patience), list[tuple[int, float]]()
    epoch, started = 0, time.perf_counter()
    while not (epoch == config.training.max_epochs or rule.should_stop(history)):
        plain.epoch()
        epoch += 1
        if epoch % config.training.eval_every == 0:
            history.append((epoch, plain.round(questions)[0]))
    base = time.perf_counter() - started
    rows = [("trial to its early stop", "epochs", "seconds", "ratio", "ratio an epoch")]
    rows.append(("plain", str(epoch), f"{base:.3g}", "", ""))
    for kind in _KINDS:
        started = time.perf_counter()
        split = data.tuning_split()
        values = {"training.precision": kind}
        run = TrainingRun(config.replace_values(values), split, device=device)
        for _ in run.epochs():
            pass
        score_test(run, data.test)
        took = time.perf_counter() - started
        each = base / epoch / (took / run.epoch)
        rows.append((kind, str(run.epoch), f"{took:.3g}", f"{base / took:.1f}", f"{each:.1f}"))
    return rows


def _run(config: RecommenderConfig, precision: str, split: TuningSplit, device: str) -> TrainingRun:
    never = {"training.eval_every": 10**6, "training.max_epochs": 10**6}
    values = never | {"training.precision": precision}
    return TrainingRun(config.replace_values(values), split, device=device)


def _peak(run: TrainingRun) -> float:
    """Return the machine's operations per second in the run's number format."""
    device = run.model.device
    kind = product_dtype(run.config, device) or torch.float32
    sizes = (512, 1024) if device.type == "cpu" else (2048, 4096)  # small ones do not fill it
    return max(product_rate(n, kind, time.perf_counter, device.type) for n in sizes * 2)


def _validate(run: TrainingRun) -> None:
    train, valid, model = run.split.train, run.split.valid, run.model
    with model.chain_precision(product_dtype(run.config, model.device)):
        evaluate(model, history=train, target=valid, seen=[train])


def _seconds(measured: Mapping[str, tuple[float, float]]) -> Seconds:
    return {way: wall for way, (wall, _) in measured.items()}


def _row(name: str, seconds: Seconds) -> tuple[str, ...]:
    plain, cells = seconds["plain"], []
    for kind in _KINDS:
        ratio, bound = plain / seconds[kind], plain / seconds[f"{kind} at peak"]
        cells += [f"{seconds[kind]:.3g}", f"{ratio:.1f}", f"{bound:.1f}"]
    return (name, f"{plain:.3g}", *cells)


if __name__ == "__main__":
    main()
